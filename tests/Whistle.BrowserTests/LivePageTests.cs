using Deque.AxeCore.Playwright;

using Microsoft.Playwright;

using Whistle.Telemetry;

using Xunit;

namespace Whistle.BrowserTests;

public sealed class LivePageTests(Chromium chromium, ITestOutputHelper output)
{
    const string Hostile = "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script>'\"&lt;\u202egnp.exe";

    // When was typed, and when the page's content changed last.
    const string Watch =
        """
        addEventListener("input", () => window.changed = window.typed = performance.now(), true);
        new MutationObserver(() => window.changed = performance.now()).observe(
            document.querySelector("main"), { childList: true, subtree: true, characterData: true });
        """;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task When_the_server_is_gone_the_page_says_since_when_its_data_are_old_and_catches_up_by_itself()
    {
        await using var scene = await Scene.StartAsync(Cancellation, new Disk(new("acme", "production", "web-3"), "/data", 0.5));
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await person.GoAsync("/incidents?state=all&q=web");
        var asOf = await page.Locator("#asof").TextContentAsync();

        await scene.GoAsync();
        var banner = page.Locator("#connection");
        await Assertions.Expect(banner).ToContainTextAsync("Connection lost. Data are from ", new() { Timeout = 20_000 });
        await Assertions.Expect(banner).ToContainTextAsync("ago). Trying again…");
        await Pictures.TakeAsync(page, "gone", whole: false);
        Assert.Empty((await page.RunAxe()).Violations);
        Assert.Matches(@"Data are from \d\d:\d\d:\d\d UTC \(\d+ s ago\)", (await banner.TextContentAsync())!);
        Assert.Equal(asOf, await page.Locator("#asof").TextContentAsync());

        scene.Clock.Advance(TimeSpan.FromMinutes(7));
        await scene.ComeAsync(Cancellation);
        await scene.AddAsync([Scene.Incident(1, scene.Now, "web-3 came up while nobody saw", Labels.Of(("node", "web-3")))]);
        await person.SeesAsync(page.GetByText("web-3 came up while nobody saw").First);
        Assert.EndsWith("/incidents?state=all&q=web", page.Url, StringComparison.Ordinal);
        await Assertions.Expect(banner).ToBeHiddenAsync(new() { Timeout = 15_000 });
    }

    [Fact]
    public async Task When_the_state_cannot_be_read_the_page_says_so_and_goes_on_when_it_can()
    {
        await using var scene = await Scene.StartAsync(Cancellation, new Disk(new("acme", "production", "web-3"), "/data", 0.5));
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var alert = person.Page.GetByRole(AriaRole.Alert).Filter(new() { HasText = "Data is missing or out of date." });
        await scene.BreakAsync(true);
        await person.SeesAsync(alert);
        await person.SeesAsync(person.Page.GetByRole(AriaRole.Link, new() { Name = "web-3" }).First);
        await scene.BreakAsync(false);
        await Assertions.Expect(alert).ToHaveCountAsync(0, new() { Timeout = 15_000 });
    }

    [Fact]
    public async Task Markup_in_names_and_texts_is_shown_as_text_and_never_runs()
    {
        await using var scene = await Scene.StartAsync(
            Cancellation, new Disk(new("acme", "production", "web-3"), $"/{Hostile}", 0.8) { GainAnHour = 0.03 });
        await scene.UntilAsync(async () => (await scene.Incidents.ActiveAsync(Cancellation)).Count > 0, Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        var incident = (await scene.Incidents.ActiveAsync(Cancellation))[0].Id;
        foreach (var address in new[]
        {
            "/", "/incidents", $"/incidents/{incident}", "/clusters/acme/production", "/nodes/acme/production/web-3",
        })
        {
            await person.GoAsync(address);
            await person.SeesAsync(page.Locator("bdi", new() { HasText = "onerror" }).First);
            Assert.Equal(0, await page.Locator("img[src='x']").CountAsync());
        }

        Assert.False(await page.EvaluateAsync<bool>("'hacked' in window"));
    }

    [Fact]
    public async Task A_keystroke_in_the_filter_of_a_thousand_incidents_is_felt_at_once()
    {
        await using var scene = await Scenes.ManyAsync(1000, Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await person.GoAsync("/incidents");
        await person.SeesAsync(page.GetByText("1000 incidents", new() { Exact = true }));
        await person.KeysAsync("/");
        await page.EvaluateAsync(Watch);
        List<double> took = [];
        foreach (var (text, count) in new[]
        {
            ("n", 1000), ("o", 1000), ("d", 1000), ("e", 1000), ("-", 1000), ("0", 1000), ("9", 100), ("8", 10), ("7", 1),
        })
        {
            await page.Keyboard.TypeAsync(text);
            await page.WaitForFunctionAsync(
                "([q, n]) => new URL(location).searchParams.get('q')?.endsWith(q) && "
                + "document.querySelector('.count').textContent.startsWith(n + ' ')",
                new[] { text, count.ToString() });
            took.Add(await page.EvaluateAsync<double>("window.changed - window.typed"));
        }

        output.WriteLine($"From a keystroke to the last change of the page: {string.Join(", ", took.Select(t => $"{t:0} ms"))}.");
        // As fast as the keyboard goes: no letter is lost to what comes back.
        await page.Keyboard.PressAsync("Control+A");
        await page.Keyboard.TypeAsync("node-0987");
        Assert.Equal("node-0987", await page.Locator("[data-filter]").InputValueAsync());
        await page.WaitForFunctionAsync("() => location.pathname + location.search === '/incidents?q=node-0987'");
        await Assertions.Expect(page.Locator("main tbody tr")).ToHaveCountAsync(1);
        Assert.Equal("node-0987", await page.Locator("[data-filter]").InputValueAsync());
    }

    [Fact]
    public async Task The_fleet_of_a_thousand_nodes_is_there_at_the_first_paint()
    {
        await using var scene = await Scene.StartAsync(
            Cancellation,
            [.. Enumerable.Range(0, 1000)
                .Select(i => new Disk(new("acme", $"c{i % 12}", $"node-{i:0000}"), "/data", 0.2 + (i % 60 * 0.01)))]);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await person.GoAsync("/");
        var paint = await page.EvaluateAsync<double>("performance.getEntriesByName('first-contentful-paint')[0].startTime");
        var live = await page.EvaluateAsync<double>("performance.now()");
        await page.Locator("[data-filter]").FocusAsync();
        await page.EvaluateAsync(Watch);
        await page.Keyboard.TypeAsync("7");
        await page.WaitForFunctionAsync("() => document.querySelector('.nodes tbody tr th').textContent.includes('7')");
        output.WriteLine($"First paint {paint:0} ms, connected by {live:0} ms, a keystroke in the filter "
            + $"{await page.EvaluateAsync<double>("window.changed - window.typed"):0} ms.");
        Assert.Contains("1000", await page.Locator(".figures").TextContentAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Logging_out_leads_every_page_of_the_session_to_the_login_and_no_other_session()
    {
        await using var scene = await Scene.StartAsync(Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        await using var other = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var second = await person.Page.Context.NewPageAsync();
        await second.GotoAsync("/incidents");
        await second.WaitForSelectorAsync("main[data-live]");

        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Log out" }).ClickAsync();
        foreach (var page in new[] { person.Page, second })
            await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Log in to Whistle" })).ToBeVisibleAsync(
                new() { Timeout = 20_000 });
        Assert.Equal(0, await other.Page.Locator("#connection").GetByText("Connection lost").CountAsync());
        await other.GoAsync("/tickets");
    }

    [Fact]
    public async Task The_theme_is_chosen_by_a_button_and_kept()
    {
        await using var scene = await Scene.StartAsync(Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        const string scheme = "getComputedStyle(document.documentElement).colorScheme";
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Dark or light" }).ClickAsync();
        Assert.Equal("dark", await person.Page.EvaluateAsync<string>(scheme));
        await person.GoAsync("/tickets");
        Assert.Equal("dark", await person.Page.EvaluateAsync<string>(scheme));
    }
}
