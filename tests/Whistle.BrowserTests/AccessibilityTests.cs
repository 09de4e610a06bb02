using Deque.AxeCore.Playwright;

using Microsoft.Playwright;

using Xunit;

namespace Whistle.BrowserTests;

public sealed class AccessibilityTests(Chromium chromium)
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Axe_finds_nothing_on_any_page_in_both_themes_at_both_widths()
    {
        var browser = await chromium.BrowserAsync();
        await using var scene = await Scenes.BusyAsync(Cancellation);
        await using var empty = await Scene.StartAsync(Cancellation);
        List<string> found = [];
        await using var person = await BrowserPage.OpenAsync(browser, scene);
        foreach (var (name, address) in await Scenes.PagesAsync(scene))
            found.AddRange(await LooksAsync(person, name, address));
        await using var newcomer = await BrowserPage.OpenAsync(browser, empty);
        foreach (var (name, address) in new[]
        {
            ("empty-fleet", "/"), ("empty-incidents", "/incidents"), ("empty-tickets", "/tickets"), ("missing", "/no/such"),
        })
            found.AddRange(await LooksAsync(newcomer, name, address));

        Assert.True(found.Count == 0, string.Join('\n', found.Distinct()));
    }

    [Fact]
    public async Task Axe_finds_nothing_while_data_are_missing_nor_on_a_thousand_incidents()
    {
        var browser = await chromium.BrowserAsync();
        await using var broken = await Scene.StartAsync(Cancellation, new Disk(new("acme", "production", "web-3"), "/data", 0.5));
        await using var many = await Scenes.ManyAsync(1000, Cancellation);
        await using var person = await BrowserPage.OpenAsync(browser, broken);
        await broken.BreakAsync(true);
        await person.SeesAsync(person.Page.GetByRole(AriaRole.Alert).Filter(new() { HasText = "Data is missing or out of date." }));
        List<string> found =
        [
            .. await LooksAsync(person, "error-fleet", "/"),
            .. await LooksAsync(person, "error-incidents", "/incidents"),
            .. await LooksAsync(person, "error-tickets", "/tickets"),
        ];
        await using var other = await BrowserPage.OpenAsync(browser, many);
        found.AddRange([.. await LooksAsync(other, "many-fleet", "/"), .. await LooksAsync(other, "many-incidents", "/incidents")]);

        Assert.True(found.Count == 0, string.Join('\n', found.Distinct()));
    }

    [Fact]
    public async Task Axe_finds_nothing_on_the_pages_of_tenants_and_nothing_is_wider_than_the_page()
    {
        var browser = await chromium.BrowserAsync();
        await using var scene = await Scenes.TenantsAsync(Cancellation);
        await using var empty = await Scene.StartAsync(Cancellation);
        List<string> found = [];
        await using var person = await BrowserPage.OpenAsync(browser, scene);
        foreach (var (name, address) in new[]
        {
            ("tenants", "/tenants"), ("tenants-archived", "/tenants?state=archived"), ("tenant", "/tenants/acme"),
            ("tenant-archived", "/tenants/initech"), ("tenant-long", $"/tenants/{Scenes.LongTenant}"),
            ("tenant-bare", "/tenants/umbrella"), ("tenant-cluster", "/clusters/acme/production"),
            ("tenant-node", "/nodes/acme/production/web-1"), ("tenant-node-archived", "/nodes/acme/production/old-1"),
        })
            found.AddRange(await LooksAsync(person, name, address));
        await using var newcomer = await BrowserPage.OpenAsync(browser, empty);
        found.AddRange(await LooksAsync(newcomer, "tenants-empty", "/tenants"));
        found.AddRange(await LooksAsync(newcomer, "tenants-empty-archived", "/tenants?state=archived"));

        foreach (var (name, address, button) in new[]
        {
            ("dialog-tenant-add", "/tenants", "Add a tenant…"), ("dialog-tenant-edit", "/tenants/acme", "Edit…"),
            ("dialog-tenant-limits", "/tenants/acme", "Limits…"), ("dialog-tenant-archive", "/tenants/acme", "Archive…"),
            ("dialog-cluster-add", "/tenants/acme", "Add a cluster…"), ("dialog-cluster-edit", "/tenants/acme", "Edit Production…"),
        })
        {
            foreach (var (theme, width) in Scenes.Looks)
            {
                await person.Page.EmulateMediaAsync(new() { ColorScheme = theme });
                await person.Page.SetViewportSizeAsync(width, 900);
                await person.GoAsync(address);
                await person.Page.GetByRole(AriaRole.Button, new() { Name = button, Exact = true }).First.ClickAsync();
                await person.SeesAsync(person.Page.GetByRole(AriaRole.Dialog));
                if (name is "dialog-tenant-add")
                {
                    await person.Page.GetByLabel("Id").FillAsync("ACME!");
                    await person.KeysAsync("Enter");
                    await person.SeesAsync(person.Text("is not a valid tenant name"));
                }

                found.AddRange(await FindAsync(person, $"{name}-{theme}-{width}"));
            }
        }

        Assert.True(found.Count == 0, string.Join('\n', found.Distinct()));
    }

    [Fact]
    public async Task Axe_finds_nothing_in_dialogs_and_on_the_login_page()
    {
        await using var scene = await Scenes.BusyAsync(Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene, ColorScheme.Dark);
        List<string> found = [];
        var incident = (await Scenes.PagesAsync(scene)).First(p => p.Name == "incident-approve").Address;
        foreach (var (address, key) in new[]
        {
            (incident, "y"), (incident, "p"), (incident, "a"), ("/clusters/acme/production", "m"), ("/", "s"), ("/", "?"),
        })
        {
            await person.GoAsync(address);
            await person.KeysAsync(key);
            await person.SeesAsync(person.Page.GetByRole(AriaRole.Dialog));
            found.AddRange(await FindAsync(person, $"dialog-{(key == "?" ? "help" : key)}"));
        }

        await person.Page.GotoAsync("/login");
        found.AddRange(await FindAsync(person, "login"));
        Assert.True(found.Count == 0, string.Join('\n', found));
    }

    static async Task<IReadOnlyList<string>> LooksAsync(BrowserPage person, string name, string address)
    {
        List<string> found = [];
        await person.GoAsync(address);
        foreach (var (theme, width) in Scenes.Looks)
        {
            await person.Page.EmulateMediaAsync(new() { ColorScheme = theme });
            await person.Page.SetViewportSizeAsync(width, 900);
            found.AddRange(await FindAsync(person, $"{name}-{theme}-{width}"));
        }

        return found;
    }

    static async Task<IEnumerable<string>> FindAsync(BrowserPage person, string what)
    {
        await Pictures.TakeAsync(person.Page, what, whole: !what.StartsWith("dialog", StringComparison.Ordinal));
        var results = await person.Page.RunAxe();
        var isWide = await person.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth > document.documentElement.clientWidth");
        return (isWide ? [$"{what} is wider than the window."] : Array.Empty<string>()).Concat(results.Violations.SelectMany(
            v => v.Nodes.Select(n => $"{what}: {v.Id}: {n.Html[..Math.Min(160, n.Html.Length)]} {n.Any.FirstOrDefault()?.Message}")));
    }
}
