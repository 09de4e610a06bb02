using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Detectors.Signals;
using Whistle.Ingest;
using Whistle.Telemetry;
using Whistle.Web.Fleet;

using Xunit;

namespace Whistle.Tests.Web;

public sealed partial class FleetPageTests
{
    const string Hostile = "</title></svg><script>alert(1)</script>\"' onload=alert(1) ]]>--><b>\u202egnp.exe שלום &lt;";

    static readonly DateTimeOffset Now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task What_telemetry_says_stays_text_wherever_it_is_shown()
    {
        var html = await RenderAsync(View(Hostile));

        Assert.True(Occurrences(html, "alert(1)") >= 10);
        // Whatever the text holds, the tags and the names of attributes are ours: those of the same page about a harmless name.
        var harmless = Markup(await RenderAsync(View("harmless")));
        Assert.Equal(harmless, Markup(html));
        Assert.DoesNotContain("<script>", html, StringComparison.Ordinal);
        Assert.DoesNotContain("javascript:", Hrefs(html), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nothing_is_inline_that_the_content_policy_would_refuse()
    {
        var html = await RenderAsync(View("/data"));

        Assert.DoesNotMatch(@"<style|\sstyle=|\son[a-z]+=|<script(?! src=""/assets/)", html);
    }

    [Fact]
    public async Task A_chart_has_its_words_and_its_numbers_beside_it()
    {
        var html = await RenderAsync(View("/data"));

        Assert.Contains("Used space of /data on /data, last 6 hours</title>", html, StringComparison.Ordinal);
        Assert.Contains("95.0 % used at 12:00; in the last 6 hours at the least 90.0 %, at the most 95.0 %. It is filling: at this pace it is full in about 3 h.</desc>", html, StringComparison.Ordinal);
        Assert.Contains("Data as a table", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_empty_page_says_what_to_do_and_an_incomplete_one_claims_no_peace()
    {
        var empty = new FleetView { Now = Now, Query = FleetQuery.Default };

        Assert.Contains("whistle agents add", await RenderAsync(empty), StringComparison.Ordinal);
        var incomplete = await RenderAsync(empty with { Error = "The store does not answer." });
        Assert.Contains("The store does not answer.", incomplete, StringComparison.Ordinal);
        Assert.DoesNotContain("Nothing is firing", incomplete, StringComparison.Ordinal);
    }

    static FleetView View(string text)
    {
        var labels = Labels.Of(("tenant", text), ("cluster", text), ("node", text), ("mountpoint", text), ("device", text), ("fstype", text));
        var telemetry = new FleetTelemetry();
        telemetry.Add(FleetTelemetry.Size, [new(labels, 100)]);
        telemetry.Add(FleetTelemetry.Available, [new(labels, 5)]);
        var alert = new Signal
        {
            Rule = "r",
            Name = text,
            Labels = labels.With("severity", text).With("extra", text),
            Element = labels,
            Condition = new(SignalState.Firing, Now.AddHours(-1), Now, FiringSince: Now.AddHours(-1)),
            Annotations = [new("summary", text), new("description", text), new("runbook_url", "javascript:alert(1)")],
        };
        var ended = alert with { Condition = alert.Condition with { State = SignalState.Resolved, Reason = SignalEnd.Gone, EndedAt = Now } };
        var view = FleetView.Build(FleetQuery.Default, Now, [new EnrolledAgent(text, text, text, Now)], [SignalView.Of(alert)], telemetry);
        var chart = new ChartView(
            ChartRange.All[1], Now, [new(Now.AddHours(-1).ToUnixTimeMilliseconds(), 0.9), new(Now.ToUnixTimeMilliseconds(), 0.95)], new Forecast(0.05 / 3600, Now.AddHours(3)));
        return view.With(view.Charted().ToDictionary(k => k, _ => chart)) with { Ended = [SignalView.Of(ended)] };
    }

    static async Task<string> RenderAsync(FleetView view)
    {
        await using var services = new ServiceCollection().AddLogging().BuildServiceProvider();
        await using var renderer = new HtmlRenderer(services, NullLoggerFactory.Instance);
        return await renderer.Dispatcher.InvokeAsync(async () =>
            (await renderer.RenderComponentAsync<FleetPage>(ParameterView.FromDictionary(new Dictionary<string, object?> { ["View"] = view }))).ToHtmlString());
    }

    // Tags with the names of their attributes. Blazor writes values in double quotes, always.
    static List<string> Markup(string html) => [.. Tag().Matches(html).Select(t => Value().Replace(t.Value, "="))];

    static string Hrefs(string html) => string.Join('\n', Href().Matches(html).Select(m => m.Value));

    static int Occurrences(string text, string part) => text.Split(part).Length - 1;

    [GeneratedRegex("<(?:[^\"<>]|\"[^\"]*\")*>")]
    private static partial Regex Tag();

    [GeneratedRegex("=\"[^\"]*\"")]
    private static partial Regex Value();

    [GeneratedRegex("href=\"[^\"]*\"")]
    private static partial Regex Href();
}
