using System.Net;
using System.Text;
using System.Text.Json;

using Whistle.Detectors;
using Whistle.PromQL;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Queries that ask for too much: a clear error from the engine and, with the right status, over the API, where the next query is answered
/// as before. Only the limit on samples is set lower than a server has it.
/// </summary>
public sealed class QueryLimitTests(QueryLimitTests.Setting setting) : IClassFixture<QueryLimitTests.Setting>
{
    const int Series = 300;
    const int Samples = 400;
    const string Secret = "other_tenants_metric";

    static readonly PromQLOptions Options = new() { MaxSamples = 100_000 };

    static readonly Dictionary<string, (string Expression, string Says)> Invalid = new()
    {
        ["10,000 parentheses"] = (Repeat("(", 10_000) + "m" + Repeat(")", 10_000), "nested deeper"),
        ["10,000 signs"] = (Repeat("-", 10_000) + "m", "nested deeper"),
        ["10,000 calls"] = (Repeat("abs(", 10_000) + "m" + Repeat(")", 10_000), "nested deeper"),
        ["1,000 subqueries"] = (Repeat("max_over_time((", 1000) + "m" + Repeat(")[5m:1m])", 1000), "nested deeper"),
        ["a chain of 10,000 operators"] = ("m" + Repeat(" or m", 10_000), "nested deeper"),
        ["a valid expression of 1 MB"] = ("m" + Repeat(" or m", 1 << 18), "characters, more than"),
        ["garbage of 1 MB"] = (Repeat("%$]", 350_000), "characters, more than"),
        ["garbage of 100 kB"] = (Repeat("%$]", 33_000), "1:1"),
        ["a matcher of 1 MB"] = ($"m{{i=\"{Repeat("a", 1 << 20)}\"}}", "characters, more than"),
        ["a regular expression of 1 MB"] = ($"m{{i=~\"{Repeat("(a|b)*", 1 << 18)}\"}}", "characters, more than"),
        ["a regular expression of 100 kB"] = ($"m{{long=~\"{Repeat("(a|b)*", 17_000)}\"}}", "it is too large"),
        ["repetition within repetition"] = ("m{long=~\"((a{1,1000}){1,1000})\"}", "more than 1000"),
        ["an empty range"] = ("max_over_time(m[0s])", "longer than 0"),
    };

    static readonly Dictionary<string, (string Expression, string Says)> Excessive = new()
    {
        ["a subquery of tiny steps"] = ("max_over_time(m{i=\"1\"}[365d:1ms])", "works out more than 100000 samples"),
        ["subqueries within each other"] = ("max_over_time(max_over_time(m{i=\"1\"}[1d:1s])[1d:1s])", "works out more than 100000 samples"),
        ["many matches"] = ("m * on () group_left () m", "many-to-many matching not allowed"),
        ["many to many"] = ("m + on () m", "many-to-many matching not allowed"),
        ["one to many"] = ("m + on () sum(m)", "group_left"),
        ["a long label"] = (
            Repeat("label_replace(", 5) + "m{i=\"0\"}" + Repeat(", \"long\", \"$0$0$0$0\", \"long\", \".*\")", 5),
            "label_replace makes a label value of"),
        ["many long labels"] = ($"label_replace(m, \"x\", \"{Repeat("y", 65_536)}\", \"\", \"\")", "labels of that size"),
    };

    // Over a quarter of an hour.
    static readonly Dictionary<string, (string Expression, int Step, string Says)> ExcessiveOverTime = new()
    {
        ["values as labels"] = ("count_values(\"v\", m)", 15, "labels of that size"),
        ["labels from the other side"] =
            ("m * on () group_left (v) topk(1, count_values by (i) (\"v\", m{i=\"7\"}))", 15, "labels of that size"),
        ["a long answer"] = ("m", 1, "returns or works out more than 100000 samples"),
        ["many samples"] = ("count_over_time(m[3h])", 15, "loads more than 100000 samples"),
    };

    public static TheoryData<string> InvalidOnes => [.. Invalid.Keys];

    public static TheoryData<string> ExcessiveOnes => [.. Excessive.Keys];

    public static TheoryData<string> ExcessiveOnesOverTime => [.. ExcessiveOverTime.Keys];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    PromQLEngine Engine => new(new TelemetrySource(setting.Server.App.Telemetry), Options);

    [Theory]
    [MemberData(nameof(InvalidOnes))]
    public async Task An_expression_that_is_too_large_is_bad_data(string name)
    {
        var (expression, says) = Invalid[name];
        var error = await Assert.ThrowsAsync<PromQLException>(() => Engine.InstantAsync(expression, setting.End, Cancellation));

        Assert.Equal(PromQLErrorKind.BadData, error.Kind);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.InRange(error.Message.Length, 1, 1000);
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "bad_data", says, "query", ("query", expression));
        await AssertRefusedAsync(HttpStatusCode.BadRequest, "bad_data", says, "query_range", [("query", expression), .. Over(15)]);
    }

    [Theory]
    [MemberData(nameof(ExcessiveOnes))]
    public async Task An_expression_that_takes_too_much_is_ended_with_the_limit(string name)
    {
        var (expression, says) = Excessive[name];
        var error = await Assert.ThrowsAsync<PromQLException>(() => Engine.InstantAsync(expression, setting.End, Cancellation));

        Assert.Equal(PromQLErrorKind.Execution, error.Kind);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        await AssertRefusedAsync(
            HttpStatusCode.UnprocessableEntity, "execution", says, "query", ("query", expression), ("time", Seconds(setting.End)));
    }

    [Theory]
    [MemberData(nameof(ExcessiveOnesOverTime))]
    public async Task A_range_query_that_takes_too_much_is_ended_with_the_limit(string name)
    {
        var (expression, step, says) = ExcessiveOverTime[name];
        var error = await Assert.ThrowsAsync<PromQLException>(
            () => Engine.RangeAsync(expression, setting.Start, setting.End, step * 1000, Cancellation));

        Assert.Equal(PromQLErrorKind.Execution, error.Kind);
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        await AssertRefusedAsync(
            HttpStatusCode.UnprocessableEntity, "execution", says, "query_range", [("query", expression), .. Over(step)]);
    }

    [Fact]
    public async Task More_than_11000_points_a_series_are_refused()
    {
        await Assert.ThrowsAsync<PromQLException>(() => Engine.RangeAsync("m", 0, 11_001, 1, Cancellation));

        await AssertRefusedAsync(
            HttpStatusCode.BadRequest, "bad_data", "exceeded maximum resolution of 11,000 points per timeseries", "query_range",
            ("query", "m"), ("start", "0"), ("end", "11001"), ("step", "1"));
    }

    [Theory]
    [InlineData("(a+)+$")]
    [InlineData("(.*)*x")]
    [InlineData("(a|a)*b")]
    [InlineData("(a|aa)+$")]
    [InlineData("(x+x+)+y|(a{1,9}){1,99}c")]
    public async Task A_regular_expression_that_others_never_end_with_is_matched_against_a_long_label(string regex)
    {
        var selected = await QueryAsync(("query", $"m{{long=~\"{regex}\"}}"), ("time", Seconds(setting.End)));
        var replaced = await QueryAsync(
            ("query", $"label_replace(m, \"x\", \"$1\", \"long\", \"{regex}\")"), ("time", Seconds(setting.End)));

        Assert.Equal(0, selected.GetArrayLength());
        Assert.Equal(Series, replaced.GetArrayLength());
    }

    [Fact]
    public async Task An_address_that_is_too_long_is_refused_and_the_server_goes_on()
    {
        using var answer = await setting.Server.Http.GetAsync($"api/v1/query?query=m{Repeat("%20or%20m", 20_000)}", Cancellation);

        Assert.Equal(HttpStatusCode.RequestUriTooLong, answer.StatusCode);
        await AssertGoesOnAsync();
    }

    [Fact]
    public async Task A_form_that_is_too_large_is_refused_and_the_server_goes_on() =>
        await AssertRefusedAsync(
            HttpStatusCode.RequestEntityTooLarge, "bad_data", "larger than 4096 KiB", "query", ("query", Repeat("m or ", 1 << 20)));

    async Task AssertRefusedAsync(
        HttpStatusCode status, string type, string says, string path, params (string Name, string Value)[] parameters)
    {
        using var answer = await PostAsync(path, parameters);
        var body = await answer.Content.ReadAsStringAsync(Cancellation);
        using var json = JsonDocument.Parse(body);

        Assert.Equal(status, answer.StatusCode);
        Assert.Equal("error", json.RootElement.GetProperty("status").GetString());
        Assert.Equal(type, json.RootElement.GetProperty("errorType").GetString());
        Assert.Contains(says, json.RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
        Assert.False(json.RootElement.TryGetProperty("data", out _));
        Assert.DoesNotContain(Secret, body, StringComparison.Ordinal);
        await AssertGoesOnAsync();
    }

    async Task AssertGoesOnAsync() =>
        Assert.Equal(1, (await QueryAsync(("query", "m{i=\"1\"}"), ("time", Seconds(setting.End)))).GetArrayLength());

    async Task<JsonElement> QueryAsync(params (string Name, string Value)[] parameters)
    {
        using var answer = await PostAsync("query", parameters);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal("success", json.RootElement.GetProperty("status").GetString());
        return json.RootElement.GetProperty("data").GetProperty("result").Clone();
    }

    async Task<HttpResponseMessage> PostAsync(string path, IEnumerable<(string Name, string Value)> parameters)
    {
        var form = string.Join('&', parameters.Select(p => $"{p.Name}={WebUtility.UrlEncode(p.Value)}"));
        using var content = new StringContent(form, Encoding.UTF8, "application/x-www-form-urlencoded");
        return await setting.Server.Http.PostAsync($"api/v1/{path}", content, Cancellation);
    }

    (string, string)[] Over(int step) => [("start", Seconds(setting.Start)), ("end", Seconds(setting.End)), ("step", $"{step}")];

    static string Seconds(long milliseconds) => $"{milliseconds / 1000}";

    static string Repeat(string text, int times) => string.Concat(Enumerable.Repeat(text, times));

    /// <summary>A server with the series of two tenants, one of them with a long label.</summary>
    public sealed class Setting : IAsyncLifetime
    {
        InProcessServer? _server;

        internal InProcessServer Server => _server!;

        internal long End { get; } = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() / 60 * 60_000;

        internal long Start => End - 900_000;

        public async ValueTask InitializeAsync()
        {
            _server = await InProcessServer.StartAsync(Cancellation, change: o => o with { Queries = Options });
            await SendAsync("default", [.. Enumerable.Range(0, Series).Select(i => Make("m", i))]);
            await SendAsync("other", [Make(Secret, 0)]);
        }

        public ValueTask DisposeAsync() => Server.DisposeAsync();

        async Task SendAsync(string tenant, TimeSeries[] series)
        {
            using var sender = await Server.SenderAsync(tenant);
            using var answer = await sender.SendAsync(series, Cancellation);
            Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        }

        TimeSeries Make(string name, int i) => new(
            Labels.OfMetric(name, ("i", $"{i}"), ("long", i == 0 ? Repeat("a", 8000) + "!" : "!")),
            [.. Enumerable.Range(0, Samples).Reverse().Select(k => new Sample(End - (k * 15_000), (i * 1000.5) + k))]);
    }
}
