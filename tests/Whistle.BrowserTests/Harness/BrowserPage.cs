using Microsoft.Playwright;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>A person's browser on the server: logged in by the console's link. What the page's console says is kept.</summary>
sealed class BrowserPage : IAsyncDisposable
{
    readonly IBrowserContext _context;

    BrowserPage(IBrowserContext context, IPage page) => (_context, Page) = (context, page);

    public IPage Page { get; }

    /// <summary>Errors and refusals of the content policy.</summary>
    public List<string> Complaints { get; } = [];

    public static async Task<BrowserPage> OpenAsync(
        IBrowser browser, Scene scene, ColorScheme theme = ColorScheme.Light, int width = 1440, int height = 900)
    {
        var context = await browser.NewContextAsync(new()
        {
            BaseURL = scene.App.Address.ToString(),
            ColorScheme = theme,
            ViewportSize = new() { Width = width, Height = height },
            ReducedMotion = ReducedMotion.Reduce,
        });
        var page = await context.NewPageAsync();
        var opened = new BrowserPage(context, page);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
                opened.Complaints.Add(message.Text);
        };
        page.PageError += (_, error) => opened.Complaints.Add(error);
        await page.GotoAsync(scene.App.LoginLink());
        await opened.LiveAsync();
        return opened;
    }

    /// <summary>Loads an address and waits until the page is connected.</summary>
    public async Task GoAsync(string address)
    {
        await Page.GotoAsync(address);
        await LiveAsync();
    }

    public Task LiveAsync() => Page.WaitForSelectorAsync("main[data-live]");

    public ILocator Text(string text) => Page.GetByText(text).First;

    public Task SeesAsync(ILocator what) => Assertions.Expect(what).ToBeVisibleAsync(new() { Timeout = 15_000 });

    public Task KeysAsync(params IReadOnlyList<string> keys) => Sequence(keys);

    async Task Sequence(IReadOnlyList<string> keys)
    {
        foreach (var key in keys)
            await Page.Keyboard.PressAsync(key);
    }

    /// <summary>Presses Tab until what has this text is focused.</summary>
    public async Task TabToAsync(string text)
    {
        for (var i = 0; i < 200 && await FocusedAsync() != text; i++)
            await Page.Keyboard.PressAsync("Tab");
        Assert.Equal(text, await FocusedAsync());
    }

    /// <summary>The text of what is focused.</summary>
    public async Task<string> FocusedAsync() => (await Page.EvaluateAsync<string>("document.activeElement?.innerText ?? ''")).Trim();

    public async ValueTask DisposeAsync()
    {
        await _context.CloseAsync();
        Assert.DoesNotContain(Complaints, c => c.Contains("Content Security Policy", StringComparison.Ordinal));
    }
}
