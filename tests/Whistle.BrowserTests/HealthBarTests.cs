using Deque.AxeCore.Playwright;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;

using Whistle.State.Health;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>What is wrong with the server itself, on every page.</summary>
public sealed class HealthBarTests(Chromium chromium)
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_is_wrong_with_the_server_stands_on_every_page_at_every_width_and_goes_by_itself()
    {
        await using var scene = await Scene.StartAsync(Cancellation, new Disk(new("acme", "production", "web-3"), "/data", 0.5));
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var board = scene.App.Services.GetRequiredService<HealthBoard>();
        board.Report("disk", "", HealthState.Failed, "The file system of /var/lib/whistle/telemetry has 12 MiB of 40960 MiB free; 512 MiB "
            + "are needed to accept samples. Senders keep their samples and retry, and the state of their nodes is unknown. "
            + "Incidents, pages and the kill switch keep working. Free space, or lower Retention.");
        for (var i = 0; i < 5; i++)
            board.Report("telemetry-store", $"2026-01-01T0{i}Z", HealthState.Degraded, "The hour is damaged and was set aside in "
                + "/var/lib/whistle/telemetry/aside/a-name-that-has-no-place-to-be-broken-at-all-because-it-is-one-word.parquet.");
        board.Report(
            "outbox", "pagerduty delivery", HealthState.Degraded,
            "pagerduty does not take trigger i1/1, and is tried again: <b>refused</b>");
        List<string> found = [];
        foreach (var (name, address) in new[]
        {
            ("fleet", "/"), ("node", "/nodes/acme/production/web-3"), ("incidents", "/incidents"), ("tickets", "/tickets"),
            ("missing", "/no/such"),
        })
        {
            await person.GoAsync(address);
            var bars = person.Page.Locator("section.health");
            await Assertions.Expect(bars).ToHaveCountAsync(2);
            await Assertions.Expect(bars.Nth(0)).ToContainTextAsync("Whistle cannot do its work");
            await Assertions.Expect(bars.Nth(0)).ToContainTextAsync("12 MiB of 40960 MiB free");
            await Assertions.Expect(bars.Nth(1)).ToContainTextAsync("<b>refused</b>");
            await Assertions.Expect(bars.Nth(1)).ToContainTextAsync("3 more");
            foreach (var (theme, width) in Scenes.Looks)
            {
                await person.Page.EmulateMediaAsync(new() { ColorScheme = theme });
                await person.Page.SetViewportSizeAsync(width, 900);
                await Pictures.TakeAsync(person.Page, $"health-{name}-{theme}-{width}", whole: true);
                Assert.True(
                    await person.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= document.documentElement.clientWidth"),
                    $"{name} at {width} is wider than the window.");
                found.AddRange((await person.Page.RunAxe()).Violations.SelectMany(
                    v => v.Nodes.Select(n => $"{name} {theme} {width}: {v.Id}: {n.Html[..Math.Min(160, n.Html.Length)]}")));
            }
        }

        Assert.True(found.Count == 0, string.Join('\n', found.Distinct()));
        foreach (var problem in board.Problems())
            board.Clear(problem.Component, problem.Subject);
        await Assertions.Expect(person.Page.Locator("section.health")).ToHaveCountAsync(0, new() { Timeout = 15_000 });
    }
}
