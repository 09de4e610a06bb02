using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

using Whistle.Inventory;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The HTTP API beside that of a real Prometheus on the same data: status, kind of error, and the answers but for the labels that Whistle
/// stamps.
/// </summary>
public sealed partial class PrometheusApiAgainstPrometheusTests(ITestOutputHelper output)
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    // "POST path form" or "path?query"; NOW is the time of the last samples, NOW-90m before it.
    static readonly string[] Requests =
    [
        "query?query=http_requests_total&time=NOW",
        "query?query=http_requests_total&time=NOW-85m",
        "query?query=only_old&time=NOW-160m",
        "query?query=only_old&time=NOW",
        "query?query=only_old&time=NOW&lookback_delta=3h",
        "query?query=only_old&time=NOW-149m&lookback_delta=30s",
        "query?query=memory_bytes[3m]&time=NOW",
        "query?query=sum(rate(http_requests_total[150m]))&time=NOW",
        "query?query=sort(http_requests_total)&time=NOW&limit=1",
        "query?query=sort(http_requests_total)&time=NOW&limit=2",
        "query?query=http_requests_total[3m]&time=NOW&limit=0",
        "query?query=1%2B1&time=1.5&limit=1",
        "query?query=\"x\"&time=1e3",
        "query?query=vector(1)&time=2026-01-31T12:00:00.25Z",
        "query?query=vector(1)&time=2026-01-31T12:00:00%2B02:00",
        "query?query=1&time=2026-01-31T12:00:00",
        "query?query=1&time=2026-01-31",
        "query?query=1&time=yesterday",
        "query?query=1&timeout=1m&time=0",
        "query?query=1&timeout=soon",
        "query?query=1&lookback_delta=soon",
        "query?query=1&limit=-1",
        "query?query=1&limit=x",
        "query?query=1&limit=2.5",
        "query",
        "query?query=",
        "query?query=up{",
        "query?query=rate(up)",
        "query?query=memory_bytes*on()http_requests_total&time=NOW",
        "query?query=label_replace(memory_bytes,\"az\",\"$1\",\"az\",\"(\")&time=NOW",
        "POST query query=memory_bytes&time=NOW",
        "POST query?time=NOW query=memory_bytes",
        "POST query query=up{",
        "query_range?query=http_requests_total&start=NOW-100m&end=NOW&step=600",
        "query_range?query=http_requests_total&start=NOW-100m&end=NOW-70m&step=5m&limit=1",
        "query_range?query=memory_bytes&start=NOW-3m&end=NOW&step=0.5",
        "query_range?query=1&start=NOW-1m&end=NOW&step=30",
        "query_range?query=memory_bytes[5m]&start=NOW-1m&end=NOW&step=30",
        "query_range?query=up",
        "query_range?query=up&start=NOW",
        "query_range?query=up&start=NOW&end=NOW",
        "query_range?query=up&start=NOW&end=NOW-1m&step=5",
        "query_range?query=up&start=NOW-1m&end=NOW&step=0",
        "query_range?query=up&start=NOW-1m&end=NOW&step=-1",
        "query_range?query=up&start=NOW-1m&end=NOW&step=soon",
        "query_range?query=up&start=0&end=NOW&step=1",
        "query_range?query=up{&start=NOW-1m&end=NOW&step=5",
        "POST query_range query=only_old&start=NOW-170m&end=NOW-140m&step=300&timeout=30s",
        "series?match[]=http_requests_total",
        "series?match[]=only_old&match[]=only_new&match[]={__name__=\"memory_bytes\"}",
        "series?match[]={job=~\"a.%2B\"}&start=NOW-180m&end=NOW",
        "series?match[]=only_old&match[]=memory_bytes&limit=1",
        "series?match[]={az!=\"\"}&limit=6",
        "series?match[]={az!=\"\"}&start=NOW-180m&end=NOW-155m",
        "series?match[]={az!=\"\"}&start=NOW-5m&end=NOW",
        "series?match[]={az!=\"\"}&start=NOW-89m&end=NOW-81m",
        "series?match[]={az!=\"\"}&start=0&end=1",
        "series?match[]={\"my.label\"=\"x y\"}",
        "series?match[]=absent_metric",
        "POST series match[]=only_new",
        "POST series?match[]=only_new match[]=only_old&limit=1",
        "series",
        "series?match[]=",
        "series?match[]={}",
        "series?match[]={az=\"\"}",
        "series?match[]=up{",
        "series?match[]=sum(up)",
        "series?match[]=up[5m]",
        "series?match[]=up offset 5m",
        "series?match[]=up&start=x",
        "series?match[]=up&end=x",
        "series?match[]=up&limit=x",
        "series?match[]=up&limit=-1",
        "labels",
        "labels?match[]=http_requests_total",
        "labels?match[]=only_old&match[]=only_new",
        "labels?match[]=absent_metric",
        "labels?limit=2",
        "labels?match[]={}",
        "labels?start=x",
        "labels?limit=-1",
        "POST labels match[]=only_new",
        "label/job/values",
        "label/__name__/values",
        "label/__name__/values?match[]={az=\"b\"}",
        "label/code/values?limit=2",
        "label/code/values?limit=3",
        "label/code/values?match[]=http_requests_total{code!=\"500\"}",
        "label/my.label/values",
        "label/U__my_2e_label/values",
        "label/U__job/values",
        "label/U__my_2e_labe/values",
        "label/U__/values",
        "label/absent/values",
        "label/job/values?match[]=up{",
        "label/job/values?end=x",
        "label/job/values?limit=x",
        "POST label/job/values x=y",
        "metadata",
        "metadata?metric=memory_bytes&limit=1&limit_per_metric=1",
        "metadata?limit=x",
        "metadata?limit_per_metric=x",
        "rules",
        "rules?type=alert",
        "rules?type=record",
        "rules?type=other",
        "rules?rule_name[]=Never&rule_name[]=Nor&exclude_alerts=true",
        "rules?rule_group[]=second",
        "rules?rule_group[]=third",
        "rules?file[]=RULES&rule_group[]=first&type=record",
        "rules?file[]=other.yaml",
        "rules?exclude_alerts=maybe",
        "rules?match[]={severity=\"page\"}&match[]={level=\"job\"}",
        "rules?match[]={severity!=\"page\",level=\"\",alertname=\"\"}",
        "rules?match[]={",
        "alerts",
        "format_query?query=sum(up)by(a)",
        "format_query",
        "format_query?query=up{",
        "POST format_query query=up offset 90s",
        "nothing",
    ];

    [Fact]
    public async Task Every_endpoint_answers_as_Prometheus_does()
    {
        await using var pair = await PrometheusPair.StartAsync(Cancellation);
        List<string> differences = [];
        foreach (var request in Requests)
        {
            var (theirs, ours) = (await AskAsync(pair.Prometheus.Http, request, pair), await AskAsync(pair.Whistle.Http, request, pair));
            if (theirs != ours)
                differences.Add($"{request}\n  Prometheus: {theirs}\n  Whistle:    {ours}");
        }

        output.WriteLine($"{Requests.Length} requests");
        Assert.True(differences.Count == 0, $"{differences.Count} of {Requests.Length} differ\n" + string.Join("\n\n", differences));
    }

    [Fact]
    public async Task Labels_are_found_only_within_the_time_that_is_asked_for()
    {
        await using var pair = await PrometheusPair.StartAsync(Cancellation);

        // Prometheus looks at whole blocks here.
        Assert.Equal(["200", "500"], await TextsAsync("label/code/values?start=NOW-79m"));
        Assert.Equal(["200", "404", "500"], await TextsAsync("label/code/values?start=NOW-85m&end=NOW-80m"));
        Assert.Equal(["http_requests_total", "memory_bytes", "only_old"], await TextsAsync("label/__name__/values?end=NOW-11m"));
        Assert.Equal(["http_requests_total", "memory_bytes", "only_new"], await TextsAsync("label/__name__/values?start=NOW-10m"));
        Assert.DoesNotContain("old", await TextsAsync("labels?start=NOW-149m"));
        Assert.Contains("old", await TextsAsync("labels?start=NOW-150m&end=NOW-150m"));

        async Task<string[]> TextsAsync(string request) =>
            [.. JsonNode.Parse(await pair.Whistle.Http.GetStringAsync("api/v1/" + Fill(request, pair), Cancellation))!["data"]!.AsArray()
                .Select(t => (string)t!).Except([ReservedMetrics.CollectorReport])];
    }

    [Fact]
    public async Task Nothing_is_answered_without_the_token()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var stranger = new HttpClient { BaseAddress = server.App.Address };

        foreach (var path in (string[])
        [
            "query?query=1", "query_range", "series?match[]=up", "labels", "label/job/values", "metadata", "rules", "alerts",
            "status/buildinfo", "format_query?query=1",
        ])
        {
            using var answer = await stranger.GetAsync("api/v1/" + path, Cancellation);
            Assert.True(answer.StatusCode == HttpStatusCode.Unauthorized, $"{path}: {answer.StatusCode}");
        }
    }

    [Fact]
    public async Task The_build_information_has_all_that_Prometheus_tells()
    {
        await using var prometheus = await PrometheusServer.StartAsync("", Cancellation);
        await using var server = await InProcessServer.StartAsync(Cancellation);

        Assert.Superset(await NamesAsync(prometheus.Http), await NamesAsync(server.Http));

        static async Task<HashSet<string>> NamesAsync(HttpClient http) =>
            [.. JsonNode.Parse(await http.GetStringAsync("api/v1/status/buildinfo", Cancellation))!["data"]!.AsObject().Select(p => p.Key)];
    }

    static async Task<string> AskAsync(HttpClient http, string request, PrometheusPair pair)
    {
        request = Fill(request, pair);
        using var message = new HttpRequestMessage(HttpMethod.Get, "api/v1/" + request);
        if (request.Split(' ', 3) is ["POST", var path, var form])
        {
            message.Method = HttpMethod.Post;
            message.RequestUri = new Uri("api/v1/" + path, UriKind.Relative);
            message.Content = new StringContent(form, Encoding.UTF8, "application/x-www-form-urlencoded");
        }

        using var answer = await http.SendAsync(message, Cancellation);
        var body = await answer.Content.ReadAsStringAsync(Cancellation);
        return $"{(int)answer.StatusCode} {(body.StartsWith('{') ? Comparable(JsonNode.Parse(body)!)!.ToJsonString() : "")}";
    }

    static string Fill(string request, PrometheusPair pair) =>
        Times().Replace(request, m => $"{pair.Now - (m.Groups[1].Success ? int.Parse(m.Groups[1].ValueSpan) * 60 : 0)}").Replace(
            "RULES", pair.RulesFile, StringComparison.Ordinal);

    // Members in the order of their names; without what Whistle stamps or adds, the wording of errors, and what depends on the moment.
    static JsonNode? Comparable(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(
            members.Where(m => m.Key is not ("tenant" or "cluster" or "error" or "infos" or "state" or "health" or "evaluationTime"
                or "lastEvaluation"))
                .OrderBy(m => m.Key, StringComparer.Ordinal).Select(m => KeyValuePair.Create(m.Key, m.Key is "result" or "data"
                    && m.Value is JsonArray { Count: > 0 } series && series[0] is JsonObject ? Sorted(series) : Comparable(m.Value)))),
        JsonArray items => new JsonArray([.. items.Where(i => i is not JsonValue text || text.GetValueKind() != JsonValueKind.String
            || (string?)text is not ("tenant" or "cluster" or ReservedMetrics.CollectorReport)).Select(Comparable)]),
        // 1.5 and 1.500 are one number.
        JsonValue value when value.GetValueKind() == JsonValueKind.Number => JsonValue.Create((double)value),
        _ => node?.DeepClone(),
    };

    // Neither promises an order of series.
    static JsonArray Sorted(JsonArray series) =>
        new([.. series.Select(Comparable).OrderBy(s => s!.ToJsonString(), StringComparer.Ordinal)]);

    [GeneratedRegex("NOW(?:-([0-9]+)m)?")]
    private static partial Regex Times();
}
