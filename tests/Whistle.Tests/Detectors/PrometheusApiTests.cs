using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

using Whistle.Detectors.Http;
using Whistle.State.Files;
using Whistle.State.Memory;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed partial class PrometheusApiTests : IDisposable
{
    static readonly JsonSerializerOptions Strict =
        new(JsonSerializerDefaults.Web) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow };

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

    const string Series =
        """{"__name__":"node_filesystem_avail_bytes","cluster":"c","device":"/dev/sdb1","fstype":"ext4","mountpoint":"""
        + "\"/data\",\"node\":\"n1\",\"tenant\":\"t\"}";

    readonly RulesBench _bench = new(Rules);

    public void Dispose() => _bench.Dispose();

    [Theory]
    [InlineData("query=1.5%2B1&time=1435781451.781", """{"resultType":"scalar","result":[1435781451.781,"2.5"]}""")]
    [InlineData("query=1%2F0&time=2015-07-01T20:10:51Z", """{"resultType":"scalar","result":[1435781451,"+Inf"]}""")]
    [InlineData(
        "query=node_filesystem_avail_bytes&time=1767225600",
        """{"resultType":"vector","result":[{"metric":""" + Series + ""","value":[1767225600,"5"]}]}""")]
    [InlineData("query=absent_metric&time=0", """{"resultType":"vector","result":[]}""")]
    [InlineData("query=node_filesystem_avail_bytes&time=1767225900", """{"resultType":"vector","result":[]}""")]
    [InlineData(
        "query=node_filesystem_avail_bytes&time=2026-01-01T02:05:00.000%2B02:00&lookback_delta=10m",
        """{"resultType":"vector","result":[{"metric":""" + Series + ""","value":[1767225900,"5"]}]}""")]
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
            """{"status":"success","data":{"resultType":"matrix","result":[{"metric":""" + Series
            + ""","values":[[1767225600,"5"],[1767225630,"5"],[1767225660,"5"]]}]}}""",
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
    [InlineData(
        "/api/v1/query", "query=node_filesystem_avail_bytes%2Bon(node)node_filesystem_avail_bytes&time=1767225600", 422, "execution", "")]
    [InlineData("/api/v1/query", "query=up&timeout=0", 503, "timeout", "longer timeout")]
    [InlineData("/api/v1/labels", "timeout=0", 503, "timeout", "longer timeout")]
    [InlineData("/api/v1/label/node/values", "timeout=soon", 400, "bad_data", "valid duration")]
    [InlineData("/api/v1/series", "match[]=up&limit=-1", 400, "bad_data", "non-negative")]
    [InlineData("/api/v1/label/node/values", "limit=-1", 400, "bad_data", "non-negative")]
    [InlineData("/api/v1/query", "query=1&time=2026-01-01T00:00:00", 400, "bad_data", "valid timestamp")]
    [InlineData("/api/v1/query", "query=1&time=NaN", 400, "bad_data", "valid timestamp")]
    [InlineData("/api/v1/query", "query=1&limit=-1", 400, "bad_data", "non-negative")]
    [InlineData("/api/v1/query", "query=1&limit=1.5", 400, "bad_data", "whole number")]
    [InlineData("/api/v1/query", "query=1&lookback_delta=x", 400, "bad_data", "valid duration")]
    [InlineData("/api/v1/query_range", "query=up&start=2&end=1", 400, "bad_data", "end timestamp")]
    [InlineData("/api/v1/format_query", "", 400, "bad_data", "query")]
    [InlineData("/api/v1/format_query", "query=sum(", 400, "bad_data", "1:5")]
    [InlineData("/api/v1/series", "", 400, "bad_data", "match[]")]
    [InlineData("/api/v1/series", "match[]=up%7B", 400, "bad_data", "match[]")]
    [InlineData("/api/v1/series", "match[]=sum(up)", 400, "bad_data", "not a selector")]
    [InlineData("/api/v1/series", "match[]=up%20offset%205m", 400, "bad_data", "not a selector")]
    [InlineData("/api/v1/series", "match[]={a=\"\"}", 400, "bad_data", "at least one matcher")]
    [InlineData("/api/v1/series", "match[]=up&start=x", 400, "bad_data", "start")]
    [InlineData("/api/v1/labels", "end=x", 400, "bad_data", "end")]
    [InlineData("/api/v1/labels", "limit=-1", 400, "bad_data", "limit")]
    [InlineData("/api/v1/label/U__/values", "", 400, "bad_data", "label name")]
    [InlineData("/api/v1/metadata", "limit=x", 400, "bad_data", "limit")]
    [InlineData("/api/v1/metadata", "limit_per_metric=x", 400, "bad_data", "limit_per_metric")]
    [InlineData("/api/v1/rules", "type=other", 400, "bad_data", "alert or record")]
    [InlineData("/api/v1/rules", "exclude_alerts=maybe", 400, "bad_data", "true nor false")]
    [InlineData("/api/v1/rules", "match[]=%7B", 400, "bad_data", "match[]")]
    public async Task A_refusal_has_its_kind_and_says_why(string path, string query, int status, string type, string reason)
    {
        _bench.Disk(90);
        _bench.Disk(90, "/other");
        var answer = await GetAsync(path, query);

        Assert.Equal(status, answer.Status);
        Assert.StartsWith($$"""{"status":"error","errorType":"{{type}}","error":""", answer.Body);
        Assert.Contains(reason, answer.Body);
    }

    [Theory]
    [InlineData("/api/v1/series", "match[]=node_filesystem_avail_bytes&match[]=node_filesystem_files", "[AVAIL,FILES]", false)]
    [InlineData("/api/v1/series", "match[]={__name__=~\"node_filesystem_(avail_bytes|files)\"}&limit=1", "[AVAIL]", true)]
    [InlineData("/api/v1/series", "match[]=node_filesystem_avail_bytes&limit=1", "[AVAIL]", false)]
    [InlineData("/api/v1/series", "match[]=node_filesystem_avail_bytes&start=1767225601", "[]", false)]
    [InlineData("/api/v1/labels", "", """["__name__","cluster","device","fstype","mountpoint","my.label","node","tenant"]""", false)]
    [InlineData("/api/v1/labels", "match[]=odd&limit=2", """["__name__","my.label"]""", false)]
    [InlineData("/api/v1/labels", "limit=1", """["__name__"]""", true)]
    [InlineData("/api/v1/labels", "limit=0&match[]=odd", """["__name__","my.label"]""", false)]
    [InlineData("/api/v1/labels", "limit=2147483647&match[]=odd", """["__name__","my.label"]""", false)]
    [InlineData("/api/v1/labels", "match[]=odd&match[]=absent&match[]=odd&limit=2", """["__name__","my.label"]""", false)]
    [InlineData("/api/v1/labels", "match[]=odd&match[]=node_filesystem_files&limit=3", """["__name__","cluster","device"]""", true)]
    [InlineData("/api/v1/labels", "match[]=odd&start=1767225601", "[]", false)]
    [InlineData("/api/v1/labels", "match[]=odd&start=1767225600&end=1767225600", """["__name__","my.label"]""", false)]
    [InlineData("/api/v1/labels", "match[]=odd&end=1767225599.999", "[]", false)]
    [InlineData(
        "/api/v1/series", "match[]=node_filesystem_avail_bytes&match[]={__name__=~\"node_filesystem_(avail_bytes|files)\",node=\"n1\"}",
        "[AVAIL,FILES]", false)]
    [InlineData("/api/v1/series", "match[]=node_filesystem_files&match[]=node_filesystem_avail_bytes&limit=1", "[AVAIL]", true)]
    [InlineData("/api/v1/series", "match[]=node_filesystem_files&match[]=node_filesystem_avail_bytes&limit=0", "[AVAIL,FILES]", false)]
    [InlineData(
        "/api/v1/label/__name__/values", "match[]=odd&match[]=node_filesystem_files&limit=1", """["node_filesystem_files"]""", true)]
    [InlineData("/api/v1/label/mountpoint/values", "", """["/data"]""", false)]
    [InlineData("/api/v1/label/mountpoint/values", "match[]=odd", "[]", false)]
    [InlineData("/api/v1/label/__name__/values", "match[]={node=\"n1\"}&limit=1", """["node_filesystem_avail_bytes"]""", true)]
    [InlineData("/api/v1/label/my.label/values", "", """["x"]""", false)]
    [InlineData("/api/v1/label/U__my_2e_label/values", "", """["x"]""", false)]
    [InlineData("/api/v1/label/U__mountpoint/values", "end=2026-01-01T00:00:00Z", """["/data"]""", false)]
    [InlineData("/api/v1/metadata", "metric=up&limit=1", "{}", false)]
    [InlineData("/api/v1/format_query", "query=SUM(up)by(b,a)", "\"sum by (b, a) (up)\"", false)]
    public async Task Series_and_labels_answer_as_Prometheus_does_and_a_limit_says_so(string path, string query, string data, bool isCut)
    {
        _bench.Disk(90);
        _bench.Series.Add(Labels.OfMetric("odd", ("my.label", "x")), _bench.Now, 1);

        var expected = data.Replace("AVAIL", Series).Replace("FILES", Series.Replace("avail_bytes", "files"));
        Assert.Equal(
            (200, $$"""{"status":"success","data":{{expected}}{{(isCut ? ",\"warnings\":[\"results truncated due to limit\"]" : "")}}}"""),
            await GetAsync(path, query));
    }

    [Fact]
    public async Task A_form_and_the_address_both_name_series()
    {
        _bench.Disk(90);

        var (status, body) = await CallAsync("/api/v1/series", context =>
        {
            context.Request.QueryString = new("?match[]=node_filesystem_avail_bytes&limit=7");
            Form(context, "match[]=node_filesystem_files&limit=1");
        });

        Assert.Equal((200, $$"""{"status":"success","data":[{{Series}}],"warnings":["results truncated due to limit"]}"""), (status, body));
    }

    [Theory]
    [InlineData("query={__name__=~\"node_filesystem_(files|avail_bytes)\"}&limit=1", true)]
    [InlineData("query=node_filesystem_avail_bytes&limit=1", false)]
    [InlineData("query=node_filesystem_avail_bytes&limit=0", false)]
    public async Task A_limit_cuts_a_query_and_says_so(string query, bool isCut)
    {
        _bench.Disk(90);
        var instant = await GetAsync("/api/v1/query", $"{query}&time=1767225600");
        var range = await GetAsync("/api/v1/query_range", $"{query}&start=1767225600&end=1767225600&step=1");

        Assert.All([instant.Body, range.Body], body =>
        {
            Assert.Single(JsonDocument.Parse(body).RootElement.GetProperty("data").GetProperty("result").EnumerateArray());
            Assert.Equal(isCut, body.EndsWith("\"warnings\":[\"results truncated due to limit\"]}", StringComparison.Ordinal));
        });
    }

    [Theory]
    [InlineData("", "Low,a:b")]
    [InlineData("type=record", "a:b")]
    [InlineData("rule_name[]=Low&rule_name[]=Other", "Low")]
    [InlineData("rule_group[]=g&rule_group[]=h&file[]=RULES", "Low,a:b")]
    [InlineData("rule_group[]=h", "")]
    [InlineData("file[]=rules.yaml", "")]
    [InlineData("match[]={severity=~\"warn.*\"}", "Low")]
    [InlineData("match[]={severity=\"critical\"}", "")]
    [InlineData("match[]={severity=\"critical\"}&match[]={a=\"\",severity=~\".%2B\"}", "Low")]
    public async Task Rules_are_picked_by_type_name_group_file_and_labels(string query, string expected)
    {
        await _bench.LoadAsync();

        var (status, body) = await GetAsync("/api/v1/rules", query.Replace("RULES", _bench.RulesFile));

        Assert.Equal(200, status);
        var groups = JsonDocument.Parse(body).RootElement.GetProperty("data").GetProperty("groups").EnumerateArray().ToList();
        Assert.Equal(expected, string.Join(
            ',', groups.SelectMany(g => g.GetProperty("rules").EnumerateArray()).Select(r => r.GetProperty("name").GetString())));
        Assert.Equal(expected.Length > 0 ? 1 : 0, groups.Count);
    }

    [Fact]
    public async Task Alerts_can_be_left_out_of_the_rules()
    {
        await _bench.LoadAsync();

        Assert.Contains("\"alerts\":null,", (await GetAsync("/api/v1/rules", "exclude_alerts=true")).Body, StringComparison.Ordinal);
        Assert.Contains("\"alerts\":[],", (await GetAsync("/api/v1/rules", "exclude_alerts=0")).Body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_store_that_does_not_answer_is_an_internal_error()
    {
        var (status, body) = await CallAsync(
            "/api/v1/labels", context => context.Request.Method = "GET",
            new FakeSearch((_, _) => throw new StoreException("/secret/place/hot.duckdb is damaged.", new IOException())));

        Assert.Equal(500, status);
        // The file is the operator's business, and the log has it.
        Assert.Matches(
            "^{\"status\":\"error\",\"errorType\":\"internal\","
            + "\"error\":\"the store did not answer; the server's log says why, under fault-[0-9a-f]{8}\"}$",
            body.Replace("\\u0027", "'", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("labels", "", """["__name__","cluster"]""")]
    [InlineData("labels", "limit=7", """["__name__","cluster"]""")]
    [InlineData("labels", "limit=1", """["__name__"]""")]
    [InlineData("label/__name__/values", "limit=0", """["node_filesystem_avail_bytes","node_filesystem_files"]""")]
    [InlineData("series", "match[]={node=\"n1\"}&limit=0", "[SERIES]")]
    [InlineData("series", "match[]={node=\"n1\"}&limit=2", "[SERIES]")]
    public async Task Without_a_lower_limit_that_of_the_server_cuts_and_says_so(string path, string query, string data)
    {
        _bench.Disk(90);

        var answer = await CallAsync($"/api/v1/{path}", Get(query), options: new() { MaxSeries = 1, MaxTexts = 2 });

        Assert.Equal(
            (200, $$"""{"status":"success","data":{{data.Replace("SERIES", Series)}},"warnings":["results truncated due to limit"]}"""),
            answer);
    }

    [Fact]
    public async Task What_takes_too_much_memory_is_cut_too()
    {
        _bench.Disk(90);

        var search = new FakeSearch((limit, _) => new([$"{limit.Bytes}"], IsCut: true));
        var answer = await CallAsync("/api/v1/labels", Get("limit=7"), search, new() { MaxBytes = 99 });

        Assert.Equal((200, """{"status":"success","data":["99"],"warnings":["results truncated due to limit"]}"""), answer);
    }

    [Theory]
    [InlineData("labels")]
    [InlineData("label/node/values")]
    [InlineData("series?match[]=up")]
    public async Task A_caller_that_leaves_ends_the_reading(string path)
    {
        using var leaving = new CancellationTokenSource();
        var search = new FakeSearch((_, cancellation) =>
        {
            leaving.Cancel();
            cancellation.ThrowIfCancellationRequested();
            return new([], false);
        });

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => CallAsync($"/api/v1/{path.Split('?')[0]}", context =>
        {
            Get(path.Split('?').ElementAtOrDefault(1) ?? "")(context);
            context.RequestAborted = leaving.Token;
        }, search));
    }

    [Fact]
    public async Task Who_is_turned_away_is_told_when_to_come_back()
    {
        HttpContext? asked = null;
        var answer = await CallAsync(
            "/api/v1/labels", context => (asked = context).Request.Method = "GET",
            new FakeSearch((_, _) => throw new BusyException("too many")));

        const string refusal =
            """{"status":"error","errorType":"unavailable","error":"the server cannot answer this now: """
            + """too many; ask for less, or try again"}""";
        Assert.Equal((503, refusal), answer);
        Assert.Equal("5", asked!.Response.Headers.RetryAfter);
    }

    [Theory]
    [InlineData("job", "job")]
    [InlineData("U__job", "job")]
    [InlineData("U__a__b_2E_c_1f600_", "a_b.c😀")]
    [InlineData("U__a_2_b_", "U__a_2_b_")]
    [InlineData("U__a_2e", "U__a_2e")]
    [InlineData("U__a_", "U__a_")]
    [InlineData("U___d800_", "U___d800_")]
    [InlineData("U__", "")]
    public void A_name_in_an_address_may_be_escaped(string written, string name) => Assert.Equal(name, EscapedName.Read(written));

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
            {"labels":{"alertname":"Low","cluster":"c","device":"/dev/sdb1","fstype":"ext4","mountpoint":"/data","node":"n1",
            "severity":"warning",
            "tenant":"t"},"annotations":{"summary":"5"},"state":"unknown","activeAt":"2026-01-01T00:00:00Z","value":"5e+00",
            "fingerprint":"F",
            "firingSince":"2026-01-01T00:01:00Z","stateBefore":"firing","unknownSince":"2026-01-01T00:04:00Z"}
            """.Replace("\n", "");
        Assert.Equal(
            """{"status":"success","data":{"alerts":[ALERT]}}""".Replace("ALERT", alert),
            Stable((await GetAsync("/api/v1/alerts", "")).Body));
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
        Assert.StartsWith(
            """{"status":"success","data":{"signals":[],"ended":[{"labels":{"alertname":"Low",""", body, StringComparison.Ordinal);
        Assert.EndsWith(""","endedAt":"2026-01-01T00:02:00Z","end":"gone"}]}}""", body, StringComparison.Ordinal);
        // What the OpenAPI document says of it is its shape.
        var answer = JsonSerializer.Deserialize<SignalsAnswer>(body, Strict);
        Assert.Equal("gone", Assert.Single(answer!.Data.Ended!).End);
        Assert.DoesNotContain("ended", (await GetAsync("/api/whistle/v1/signals", "")).Body, StringComparison.Ordinal);
        Assert.Equal(400, (await GetAsync("/api/whistle/v1/signals", "ended=yesterday")).Status);
    }

    string Stable(string body) =>
        Fingerprint().Replace(body.Replace(Path.GetDirectoryName(_bench.RulesFile) + "/", ""), "\"fingerprint\":\"F\"");

    Task<(int Status, string Body)> GetAsync(string path, string query) => CallAsync(path, Get(query));

    static Action<HttpContext> Get(string query) => context =>
    {
        context.Request.Method = "GET";
        context.Request.QueryString = new("?" + query);
    };

    Task<(int Status, string Body)> PostAsync(string path, string form) => CallAsync(path, context => Form(context, form));

    static void Form(HttpContext context, string form)
    {
        context.Request.Method = "POST";
        context.Request.ContentType = "application/x-www-form-urlencoded";
        context.Request.Body = new MemoryStream(Encoding.UTF8.GetBytes(form));
    }

    async Task<(int Status, string Body)> CallAsync(
        string path, Action<HttpContext> prepare, ISeriesSearch? search = null, SearchOptions? options = null)
    {
        await using var app = LocalCaller.Builder().Build();
        PrometheusApi.Map(app, _bench.Engine, search ?? _bench.Series, options ?? new(), _bench.Host, _bench.Clock);
        SignalsApi.Map(app, _bench.Host, _bench.Host, _bench.Clock);
        var endpoint = ((IEndpointRouteBuilder)app).DataSources.SelectMany(d => d.Endpoints).OfType<RouteEndpoint>()
            .Single(e => e.RoutePattern.RawText == LabelPath().Replace(path, "/label/{name}/"));
        var context = new DefaultHttpContext { RequestServices = app.Services, User = LocalCaller.User };
        if (LabelPath().Match(path) is { Success: true } label)
            context.Request.RouteValues["name"] = label.Groups[1].Value;
        using var body = new MemoryStream();
        context.Response.Body = body;
        prepare(context);
        await endpoint.RequestDelegate!(context);
        await context.Response.BodyWriter.FlushAsync(TestContext.Current.CancellationToken);
        return (context.Response.StatusCode, Encoding.UTF8.GetString(body.ToArray()));
    }

    [GeneratedRegex("\"fingerprint\":\"[0-9a-f]{16}\"")]
    private static partial Regex Fingerprint();

    [GeneratedRegex("/label/([^/]+)/")]
    private static partial Regex LabelPath();
}
