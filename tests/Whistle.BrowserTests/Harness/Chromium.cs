using Microsoft.Playwright;

using Whistle.BrowserTests;

using Xunit;

[assembly: AssemblyFixture(typeof(Chromium))]

namespace Whistle.BrowserTests;

/// <summary>
/// One browser for all tests: the path in <c>WHISTLE_TEST_CHROMIUM</c>. Without one the test skips with the reason; with
/// <c>WHISTLE_TEST_REQUIRE=all</c> it fails.
/// </summary>
public sealed class Chromium : IAsyncDisposable
{
    readonly Lazy<Task<(IPlaywright Playwright, IBrowser Browser)>> _started = new(StartAsync);

    public async Task<IBrowser> BrowserAsync()
    {
        if (!File.Exists(Path()))
        {
            const string lacks = "This machine lacks a Chromium whose path is in WHISTLE_TEST_CHROMIUM.";
            if (Environment.GetEnvironmentVariable("WHISTLE_TEST_REQUIRE") == "all")
                Assert.Fail(lacks);
            Assert.Skip(lacks);
        }

        return (await _started.Value).Browser;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_started.IsValueCreated)
            return;
        var (playwright, browser) = await _started.Value;
        await browser.DisposeAsync();
        playwright.Dispose();
    }

    static string? Path() => Environment.GetEnvironmentVariable("WHISTLE_TEST_CHROMIUM");

    static async Task<(IPlaywright, IBrowser)> StartAsync()
    {
        var playwright = await Playwright.CreateAsync();
        return (playwright, await playwright.Chromium.LaunchAsync(new() { ExecutablePath = Path(), Args = ["--no-sandbox"] }));
    }
}
