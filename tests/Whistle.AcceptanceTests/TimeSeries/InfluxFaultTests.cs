
using Microsoft.AspNetCore.Http;

using Whistle.Ingest.Influx;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What the InfluxDB store does where the server, the network or a sample is not as it should be.</summary>
public sealed class InfluxFaultTests(InfluxServer server) : IClassFixture<InfluxServer>, IDisposable
{
    const string Header = "name,tags,time,value,special\n";

    static readonly LabelMatcher[] All = [new(Labels.MetricName, MatchOperator.Equal, "m")];
    static readonly long Now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() / 60_000 * 60_000;

    readonly HealthBoard _health = new(TimeProvider.System);
    readonly HeadSeries _series = new(1, Labels.OfMetric("m", ("tenant", "t"), ("cluster", "c")), "t");
    readonly List<InfluxStore> _stores = [];

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        server.Before = null;
        _stores.ForEach(s => s.Dispose());
    }

    [Fact]
    public void A_server_that_is_busy_is_asked_again_when_it_says()
    {
        var (store, times) = (Open(Usual), new List<long>());
        OnWrite(async context =>
        {
            lock (times)
                times.Add(TimeProvider.System.GetTimestamp());
            if (times.Count > 2)
                return false;
            context.Response.StatusCode = times.Count == 1 ? 503 : 429;
            context.Response.Headers.RetryAfter = "1";
            await context.Response.WriteAsync("busy", Cancellation);
            return true;
        });

        Append(store, (0, 1));

        Assert.Equal(3, times.Count);
        Assert.All(times.Zip(times.Skip(1)), t => Assert.True(
            TimeProvider.System.GetElapsedTime(t.First, t.Second) >= TimeSpan.FromSeconds(0.9)));
        Assert.Equal([1], Read(store).Values);
    }

    [Fact]
    public void A_server_that_stays_busy_is_given_up()
    {
        var store = Open(Usual with { RetryFor = TimeSpan.FromSeconds(1) });
        var tries = 0;
        OnWrite(context =>
        {
            tries++;
            context.Response.StatusCode = 500;
            return Task.FromResult(true);
        });

        var error = Assert.Throws<StoreException>(() => Append(store, (0, 1)));

        Assert.Contains(server.Url.Authority, error.Message, StringComparison.Ordinal);
        Assert.Contains("500", error.Message, StringComparison.Ordinal);
        Assert.InRange(tries, 2, 20);
        Assert.Equal(1, store.NextCommit);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void One_bad_sample_among_a_thousand_is_found_and_the_others_are_stored(bool isAllOrNothing)
    {
        // 2.x stores nothing of a body with a bad line; 1.x stores the others.
        var store = Open(Usual with { Gzip = false });
        if (isAllOrNothing)
        {
            OnWrite(async context =>
            {
                context.Request.EnableBuffering();
                using var reader = new StreamReader(context.Request.Body, leaveOpen: true);
                var body = await reader.ReadToEndAsync(Cancellation);
                context.Request.Body.Position = 0;
                if (!body.Contains("99999999999999", StringComparison.Ordinal))
                    return false;
                context.Response.StatusCode = 400;
                await context.Response.WriteAsync("""{"code":"invalid","message":"unable to parse"}""", Cancellation);
                return true;
            });
        }

        Append(store, [.. Enumerable.Range(0, 1_000).Select(i => (i == 617 ? 99_999_999_999_999 : i, (double)i))]);

        Assert.Equal(1, store.RefusedSamples);
        Assert.Equal(Enumerable.Range(0, 1_000).Where(i => i != 617).Select(i => (double)i), Read(store).Values);
        Assert.Contains(_health.Problems(), p => p is { Component: "telemetry-store", State: HealthState.Warning }
            && p.Reason.Contains("refused 1 samples", StringComparison.Ordinal));
    }

    [Fact]
    public void A_label_that_looks_like_an_answer_hides_no_lost_samples()
    {
        var store = Open(Usual with { Gzip = false });
        var liar = new HeadSeries(2, Labels.OfMetric("n", ("tenant", "t"), ("partial write: dropped", "5")), "t");
        OnWrite(async context =>
        {
            context.Request.EnableBuffering();
            using var reader = new StreamReader(context.Request.Body, leaveOpen: true);
            var body = await reader.ReadToEndAsync(Cancellation);
            context.Request.Body.Position = 0;
            if (!body.Contains("dropped=5", StringComparison.Ordinal))
                return false;
            context.Response.StatusCode = 400;
            var line = body[body.IndexOf("n,", StringComparison.Ordinal)..];
            await context.Response.WriteAsync($"unable to parse '{line}': bad", Cancellation);
            return true;
        });
        var batch = new CommitBatch();
        for (var i = 0; i < 9; i++)
            batch.Add(i == 4 ? liar : _series, Now + i, i, late: false);

        store.Append(batch);

        Assert.Equal(1, store.RefusedSamples);
        Assert.Equal(8, Read(store).Values.Length);
    }

    [Theory]
    [InlineData(422, """{"message":"failure writing points to database: partial write: points beyond retention policy dropped=2"}""")]
    [InlineData(500, """{"message":"unexpected error writing points: partial write: points beyond retention policy dropped=2"}""")]
    [InlineData(400, "partial write: dropped 2 points outside retention policy of duration 168h0m0s dropped=2 for database: d "
        + "for retention policy: autogen")]
    public void Every_server_s_words_for_points_past_retention_are_understood_and_nothing_is_tried_again(int status, string text)
    {
        var store = Open(Usual);
        var tries = 0;
        OnWrite(async context =>
        {
            tries++;
            context.Response.StatusCode = status;
            await context.Response.WriteAsync(text, Cancellation);
            return true;
        });

        Append(store, (0, 1), (1, 2), (2, 3));

        Assert.Equal((1, 2), (tries, store.RefusedSamples));
    }

    [Fact]
    public void Another_partial_write_hides_no_other_shard_s_failure_and_a_page_of_a_proxy_takes_nothing()
    {
        var store = Open(Usual);
        var isFirst = true;
        OnWrite(async context =>
        {
            if (!isFirst)
                return false;
            isFirst = false;
            context.Response.StatusCode = 400;
            await context.Response.WriteAsync("partial write: max-series-per-database limit exceeded dropped=1", Cancellation);
            return true;
        });

        Append(store, (0, 1), (1, 2), (2, 3));

        Assert.Equal(0, store.RefusedSamples);
        Assert.Equal([1, 2, 3], Read(store).Values);
        OnWrite(async context =>
        {
            await context.Response.WriteAsync("<html>Log in</html>", Cancellation);
            return true;
        });
        Assert.Throws<StoreException>(() => Append(store, (3, 4)));
    }

    [Fact]
    public void A_series_whose_labels_no_server_takes_is_refused_alone()
    {
        var store = Open(Usual);
        var batch = new CommitBatch();
        (string, string)[] labels = [("tenant", "t"), .. Enumerable.Range(0, 10).Select(i => ($"l{i}", new string('x', 8_000)))];
        batch.Add(new HeadSeries(2, Labels.OfMetric("n", labels), "t"), Now, 1, late: false);
        batch.Add(_series, Now, 2, late: false);

        store.Append(batch);

        Assert.Equal(1, store.RefusedSamples);
        Assert.Equal([2], Read(store).Values);
    }

    [Fact]
    public void Samples_past_retention_are_counted()
    {
        var store = Open(Usual);

        Append(store, (-40L * 24 * 3_600_000, 1), (-41L * 24 * 3_600_000, 2), (0, 3));

        Assert.Equal(2, store.RefusedSamples);
        Assert.Equal([3], Read(store).Values);
    }

    [Fact]
    public async Task A_server_that_was_stopped_and_started_has_what_it_took()
    {
        Assert.SkipUnless(server.IsOwn, "The server is not the test's own.");
        var store = Open(Usual with { RetryFor = TimeSpan.FromSeconds(1) });
        Append(store, (0, 1));

        await server.StopAsync();
        Assert.Throws<StoreException>(() => Append(store, (1, 2)));
        Assert.Throws<StoreException>(() => Read(store));
        store.Check();
        Assert.Contains(_health.Problems(), p => p is { Component: "telemetry-store", State: HealthState.Degraded });

        await server.StartAsync(Cancellation);
        store.Check();
        Assert.Empty(_health.Problems());
        Append(store, (1, 2));
        Assert.Equal([1, 2], Read(store).Values);
    }

    [Fact]
    public void A_connection_that_is_cut_within_an_answer_is_no_shorter_answer()
    {
        var store = Open(Usual);
        OnQuery(async (context, _) =>
        {
            await context.Response.WriteAsync($"{Header}m,tenant=t,{Now},1,\n", Cancellation);
            await context.Response.Body.FlushAsync(Cancellation);
            context.Abort();
        });

        Assert.Throws<StoreException>(() => Read(store));
    }

    [Fact]
    public void An_error_at_the_end_of_an_answer_is_no_shorter_answer()
    {
        var store = Open(Usual);
        OnQuery((context, isJson) => context.Response.WriteAsync(
            isJson
                ? """{"results":[{"statement_id":0,"partial":true}]}{"results":[{"statement_id":0,"error":"timeout exceeded"}]}"""
                : $"{Header}m,tenant=t,{Now},1,\n", Cancellation));

        var error = Assert.Throws<StoreException>(() => Read(store));
        Assert.Contains("timeout exceeded", error.Message, StringComparison.Ordinal);
        Assert.Contains(server.Url.Authority, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("error\n\"not today, \"\"no\"\"\"\n", "not today, \"no\"")]
    [InlineData(Header + "m,tenant=t,soon,1,\n", "soon")]
    [InlineData(Header + "m,tenant=t,1,one,\n", "one")]
    [InlineData(Header + "m,tenant=t,1\n", "columns")]
    [InlineData(Header + "m,tenant=t,1,1,1.5\n", "no sample")]
    [InlineData(Header + "m,tenant=t,1,1", "within a row")]
    [InlineData("", "not complete")]
    [InlineData("<html>", "within a row")]
    public void An_answer_that_is_none_is_an_error(string answer, string expected)
    {
        var store = Open(Usual);
        OnQuery((context, isJson) => context.Response.WriteAsync(isJson ? "{}" : answer, Cancellation));

        Assert.Contains(expected, Assert.Throws<StoreException>(() => Read(store)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData(Header + "m,tenant=t,1,1,\n")]
    public void An_answer_that_takes_too_long_is_given_up(string begin)
    {
        var store = Open(Usual with { AnswerTime = TimeSpan.FromMilliseconds(300) });
        OnQuery(async (context, _) =>
        {
            if (begin.Length > 0)
            {
                await context.Response.WriteAsync(begin, Cancellation);
                await context.Response.Body.FlushAsync(Cancellation);
            }

            await UntilLeftAsync(context);
        });

        Assert.Contains("within", Assert.Throws<StoreException>(() => Read(store)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Who_asked_may_leave_while_the_server_is_silent()
    {
        var store = Open(Usual);
        using var left = new CancellationTokenSource();
        OnQuery(async (context, _) =>
        {
            await left.CancelAsync();
            await UntilLeftAsync(context);
        });

        Assert.ThrowsAny<OperationCanceledException>(() => store.VisitSeries(All, Now, Now, _ => { }, left.Token));
    }

    [Fact]
    public void A_token_that_is_refused_is_read_again_once_and_said()
    {
        var bucket = server.NewBucket();
        var token = "admin:wrong";
        var store = Open(Usual with { Endpoints = [bucket with { Token = () => token }] }, check: false);

        store.Check();
        Assert.Contains("token", Assert.Single(_health.Problems()).Reason, StringComparison.Ordinal);
        Assert.Contains("token", Assert.Throws<StoreException>(() => Append(store, (0, 1))).Message, StringComparison.Ordinal);

        token = server.Token;
        store.Check();
        Assert.Empty(_health.Problems());
        Append(store, (0, 1));
        Assert.Equal([1], Read(store).Values);
    }

    [Fact]
    public void A_retention_that_differs_is_a_warning()
    {
        var options = Usual;
        Open(options);

        Open(options with { Retention = TimeSpan.FromDays(7) }, check: false).Check();

        var problem = Assert.Single(_health.Problems());
        Assert.Equal((HealthState.Warning, "telemetry-store"), (problem.State, problem.Component));
        Assert.Contains("30 days", problem.Reason, StringComparison.Ordinal);
        Assert.Contains("7 days", problem.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_bucket_that_is_missing_and_may_not_be_made_is_said()
    {
        Assert.SkipUnless(server.IsOwn, "The server is not the test's own.");
        await server.AskAsync("CREATE USER plain WITH PASSWORD 'plain'");
        var bucket = server.NewBucket() with { Token = () => "plain:plain" };
        var store = Open(Usual with { Endpoints = [bucket] }, check: false);

        store.Check();
        Assert.Equal(HealthState.Degraded, Assert.Single(_health.Problems()).State);

        await server.AskAsync($"CREATE DATABASE \"{bucket.Bucket}\" WITH DURATION 30d; GRANT ALL ON \"{bucket.Bucket}\" TO plain");
        store.Check();
        Assert.Empty(_health.Problems());
        Append(store, (0, 1));
        Assert.Equal([1], Read(store).Values);
        store.Maintain(new Dictionary<string, TimeSpan> { ["t"] = TimeSpan.FromDays(1) });
    }

    [Fact]
    public void Clusters_are_where_their_rule_says_and_one_that_is_down_fails_only_its_own()
    {
        var (mine, rest) = (server.NewBucket(), server.NewBucket());
        InfluxEndpoint dead = new(new Uri($"http://127.0.0.1:{ChildProcess.FreePort()}"), "w") { Clusters = ["gone/*"] };
        var store = Open(
            Usual with { Endpoints = [dead, mine with { Clusters = ["t/c*"] }, rest], RetryFor = TimeSpan.FromMilliseconds(300) },
            check: false);
        store.Check();
        Assert.Equal($"{dead.Url.Authority} w", Assert.Single(_health.Problems()).Subject);
        Append(store, (0, 1));
        var other = new HeadSeries(2, Labels.OfMetric("m", ("tenant", "t"), ("cluster", "d")), "t");
        Append(store, other, (0, 2));

        LabelMatcher[] ofTenant = [.. All, new("tenant", MatchOperator.Equal, "t")];
        Assert.Equal([1.0, 2.0], store.Select(ofTenant, Now, Now).Select(s => s.Values.Single()).Order());
        Assert.Equal([2.0], Open(Usual with { Endpoints = [rest] }, check: false).Select(All, Now, Now).Select(s => s.Values.Single()));
        var error = Assert.Throws<StoreException>(() => store.Select(All, Now, Now));
        Assert.Contains(dead.Url.Authority, error.Message, StringComparison.Ordinal);
        Assert.Throws<StoreException>(
            () => Append(store, new HeadSeries(3, Labels.OfMetric("m", ("tenant", "gone"), ("cluster", "d")), "gone"), (0, 2)));
    }

    InfluxOptions Usual => new() { Endpoints = [server.NewBucket()], Retention = TimeSpan.FromDays(30) };

    InfluxStore Open(InfluxOptions options, bool check = true)
    {
        var store = new InfluxStore(options, TimeProvider.System, _health);
        _stores.Add(store);
        if (check)
        {
            store.Check();
            Assert.Empty(_health.Problems());
        }

        return store;
    }

    void OnWrite(Func<HttpContext, Task<bool>> answer) =>
        server.Before = context => context.Request.Path == "/api/v2/write" ? answer(context) : Task.FromResult(false);

    void OnQuery(Func<HttpContext, bool, Task> answer) => server.Before = async context =>
    {
        if (context.Request.Path != "/query")
            return false;
        await answer(context, context.Request.Headers.Accept.ToString().Contains("json", StringComparison.Ordinal));
        return true;
    };

    static async Task UntilLeftAsync(HttpContext context)
    {
        var left = new TaskCompletionSource();
        await using var _ = context.RequestAborted.Register(left.SetResult);
        await left.Task.WaitAsync(Cancellation);
    }

    void Append(InfluxStore store, params (long At, double Value)[] samples) => Append(store, _series, samples);

    static void Append(InfluxStore store, HeadSeries series, params (long At, double Value)[] samples)
    {
        var batch = new CommitBatch();
        foreach (var (at, value) in samples)
            batch.Add(series, Now + at, value, late: false);
        store.Append(batch);
    }

    static SeriesSamples Read(InfluxStore store) => store.Select(All, Now - 3_600_000, Now + 3_600_000).Single();
}
