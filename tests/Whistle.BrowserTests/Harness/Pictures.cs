using Microsoft.Playwright;

namespace Whistle.BrowserTests;

/// <summary>
/// Pictures of what the tests see, for people to look at, in the folder that <c>WHISTLE_SCREENSHOTS</c> names; none without it.
/// </summary>
static class Pictures
{
    static readonly string? Folder = Environment.GetEnvironmentVariable("WHISTLE_SCREENSHOTS") is { Length: > 0 } folder ? folder : null;

    public static async Task TakeAsync(IPage page, string name, bool whole = true)
    {
        if (Folder is not null)
            await page.ScreenshotAsync(new() { Path = Path.Combine(Folder, $"{name}.png".ToLowerInvariant()), FullPage = whole });
    }
}
