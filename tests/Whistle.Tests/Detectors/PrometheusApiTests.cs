using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed partial class PrometheusApiTests : IDisposable
{
    static readonly JsonSerializerOptions Strict = new(JsonSerializerDefaults.Web) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

    const string Rules =
        """
        groups:
          - name: g
            rules:
              - alert: Low
                expr: node_filesystem_avail_bytes < 10
                for: 1m
                labels: { severity: warning }
                annotations: { summary: "{{ $value }}" }
              - record: a:b
                expr: node_filesystem_avail_bytes * 0.1
        """;

    const string Series = """{"__name__":"node_filesystem_avail_bytes","cluster":"c","device":"/dev/sdb1","fstype":"ext4","mountpoint":"/data","node":"n1","tenant":"t"}""";

    readonly RulesBench _bench = new(Rules);

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData("query=1.5%2B1&time=1435781451.781", """{"resultType":"scalar","result":[1435781451.781,"2.5"]}""")]
    [InlineData("query=1%2F0&time=2015-07-01T20:10:51Z", """{"resultType":"scalar","result":[1435781451,"+Inf"]}""")]
    [InlineData("query=node_filesystem_avail_bytes&time=1767225600", """{"resultType":"vector","result":[{"metric":""" + Series + ""","value":[1767225600,"5"]}]}""")]
    [InlineData("query=absent_metric&time=0", """{"resultType":"vector","result":[]}""")]
    public async Task An_instant_query_answers_as_Prometheus_does(string query, string data)
    {
        _bench.Disk(90);

        Assert.Equal((200, "{\"status\":\"success\",\"data\":" + data + "}"), await GetAsync("/api/v1/query", query));
    }

    [Fact]
    public async Task A_range_query_takes_a_form_and_durations()
    {
        _bench.Disk(90);
        var (status, body) = await PostAsync(
            "/api/v1/query_range", "query=node_filesystem_avail_bytes&start=1767225600&end=2026-01-01T00:01:00Z&step=30s&timeout=5s");

        Assert.Equal(200, status);
        Assert.Equal(
            """{"status":"success","data":{"resultType":"matrix","result":[{"metric":SERIES,"values":[[1767225600,"5"],[1767225630,"5"],[1767225660,"5"]]}]}}"""
                .Replace("SERIES", Series),
            body);
    }

    [Theory]
    [InlineData("/api/v1/query", "", 400, "bad_data", "query")]
    [InlineData("/api/v1/query", "query=up%7B", 400, "bad_data", "query")]
    [InlineData("/api/v1/query", "query=up&time=yesterday", 400, "bad_data", "valid timestamp")]
    [InlineData("/api/v1/query", "query=up&timeout=soon", 400, "bad_data", "valid duration")]
    [InlineData("/api/v1/query_range", "query=up&start=0&end=1", 400, "bad_data", "step")]
    [InlineData("/api/v1/query_range", "query=up&start=2&end=1&step=1", 400, "bad_data", "end")]
    [InlineData("/api/v1/query_range", "query=up&start=0&end=100000&step=1", 400, "bad_data", "11,000 points")]
    [InlineData("/api/v1/query_range", "query=up&start=0&end=1&step=0", 400, "bad_data", "step")]
    [InlineData("/api/v1/query", "query=node_filesystem_avail_bytes%2Bon(node)node_filesystem_avail_bytes&time=1767225600", 422, "execution", "")]
    [InlineData("/api/v1/query", "query=up&timeout=0", 503, "timeout", "longer timeout")]
    [InlineData("/api/v1/rules", "type=other", 400, "bad_data", "alert or record")]
    public async Task A_refusal_has_its_kind_and_says_why(string path, string query, int status, string type, string reason)
    {
        _bench.Disk(90);
        _bench.Disk(90, "/other");
        var answer = await GetAsync(path, query);

        Assert.Equal(status, answer.Status);
        Assert.StartsWith($$"""{"status":"error","errorType":"{{type}}","error":""", answer.Body);
        Assert.Contains(reason, answer.Body);
    }

    [Fact]
    public async Task Rules_and_alerts_are_in_the_form_of_Prometheus_with_unknown_added()
    {
        await _bench.LoadAsync();
        for (var minute = 0; minute < 6; minute++)
        {
            if (minute < 2)
                _bench.Report("filesystem");
            if (minute < 2)
                _bench.Disk(90);
            await _bench.StepAsync();
        }

        var alert =
            """
            {"labels":{"alertname":"Low","cluster":"c","device":"/dev/sdb1","fstype":"ext4","mountpoint":"/data","node":"n1","severity":"warning",
            "tenant":"t"},"annotations":{"summary":"5"},"state":"unknown","activeAt":"2026-01-01T00:00:00Z","value":"5e+00","fingerprint":"F",
            "firingSince":"2026-01-01T00:01:00Z","stateBefore":"firing","unknownSince":"2026-01-01T00:04:00Z"}
            """.Replace("\n", "");
        Assert.Equal("""{"status":"success","data":{"alerts":[ALERT]}}""".Replace("ALERT", alert), Stable((await GetAsync("/api/v1/alerts", "")).Body));
        Assert.Equal(
            """
            {"status":"success","data":{"groups":[{"name":"g","file":"rules.yaml","rules":[
            {"state":"unknown","duration":60,"keepFiringFor":0,"annotations":{"summary":"{{ $value }}"},"alerts":[ALERT],
            "name":"Low","query":"node_filesystem_avail_bytes < 10","labels":{"severity":"warning"},"health":"ok","evaluationTime":0,
            "lastEvaluation":"2026-01-01T00:05:00Z","type":"alerting"}],
            "interval":60,"limit":0,"evaluationTime":0,"lastEvaluation":"2026-01-01T00:05:00Z"}]}}
            """.Replace("\n", "").Replace("ALERT", alert),
            Stable((await GetAsync("/api/v1/rules", "type=alert")).Body));
    }

    [Fact]
    public async Task The_signals_of_our_own_API_tell_how_those_that_ended_did()
    {
        await _bench.LoadAsync();
        for (var minute = 0; minute < 4; minute++)
        {
            _bench.Report("filesystem");
            if (minute < 2)
                _bench.Disk(90);
            else if (minute == 2)
                _bench.Unmount();
            await _bench.StepAsync();
        }

        var (status, body) = await GetAsync("/api/whistle/v1/signals", "ended=24h");

        Assert.Equal(200, status);
        Assert.StartsWith("""{"status":"success","data":{"signals":[],"ended":[{"labels":{"alertname":"Low",""", body, StringComparison.Ordinal);
        Assert.EndsWith(""","endedAt":"2026-01-01T00:02:00Z","end":"gone"}]}}""", body, StringComparison.Ordinal);
        // What the OpenAPI document says of it is its shape.
        var answer = JsonSerializer.Deserialize<SignalsAnswer>(body, Strict);
        Assert.Equal("gone", Assert.Single(answer!.Data.Ended!).End);
        Assert.DoesNotContain("ended", (await GetAsync("/api/whistle/v1/signals", "")).Body, StringComparison.Ordinal);
        Assert.Equal(400, (await GetAsync("/api/whistle/v1/signals", "ended=yesterday")).Status);
    }

    string Stable(string body) => Fingerprint().Replace(body.Replace(Path.GetDirectoryName(_bench.RulesFile) + "/", ""), "\"fingerprint\":\"F\"");

    Task<(int Status, string Body)> GetAsync(string path, string query) => CallAsync(path, context =>
    {
        context.Request.Method = "GET";
        context.Request.QueryString = new("?" + query);
    });

    Task<(int Status, string Body)> PostAsync(string path, string form) => CallAsync(path, context =>
    {
        context.Request.Method = "POST";
        context.Request.ContentType = "application/x-www-form-urlencoded";
        context.Request.Body = new MemoryStream(Encoding.UTF8.GetBytes(form));
    });

    async Task<(int Status, string Body)> CallAsync(string path, Action<HttpContext> prepare)
    {
        await using var app = WebApplication.CreateSlimBuilder().Build();
        PrometheusApi.Map(app, _bench.Engine, _bench.Host, _bench.Clock);
        SignalsApi.Map(app, _bench.Host, _bench.Clock);
        var endpoint = ((IEndpointRouteBuilder)app).DataSources.SelectMany(d => d.Endpoints).OfType<RouteEndpoint>()
            .Single(e => e.RoutePattern.RawText == path);
        var context = new DefaultHttpContext { RequestServices = app.Services };
        using var body = new MemoryStream();
        context.Response.Body = body;
        prepare(context);
        await endpoint.RequestDelegate!(context);
        await context.Response.BodyWriter.FlushAsync(TestContext.Current.CancellationToken);
        return (context.Response.StatusCode, Encoding.UTF8.GetString(body.ToArray()));
    }

    [GeneratedRegex("\"fingerprint\":\"[0-9a-f]{16}\"")]
    private static partial Regex Fingerprint();
}
