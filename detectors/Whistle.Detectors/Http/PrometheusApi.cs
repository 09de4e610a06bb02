using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Detectors.Signals;
using Whistle.Ingest.Stores;
using Whistle.Inventory.Access;
using Whistle.Inventory;
using Whistle.Inventory.Callers;
using Whistle.PromQL;
using Whistle.State.Files;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary>What stands under <c>data</c>, written part by part; a limit may have cut it, and then a warning says so.</summary>
readonly record struct Answer(IEnumerable<Action<Utf8JsonWriter>> Parts, bool IsCut = false)
{
    public Answer(Action<Utf8JsonWriter> data, bool isCut = false)
        : this([data], isCut)
    {
    }

    /// <summary>What is held until it is sent; null where nothing is.</summary>
    public HeldAnswer? Held { get; init; }
}

/// <summary>
/// Prometheus's HTTP API for queries, series, rules and alerts. Errors: <c>bad_data</c> 400, <c>execution</c> 422, <c>internal</c> 500
/// where the store does not answer, <c>timeout</c> and <c>unavailable</c> 503. Whoever maps it puts authentication in front.
/// </summary>
public static class PrometheusApi
{
    // A large answer is sent as it is written, lest it stand in memory as text.
    const int MostUnsent = 1 << 16;

    const string RetryAfterSeconds = "5";

    static readonly string[] Get = [HttpMethods.Get];
    static readonly string[] GetAndPost = [HttpMethods.Get, HttpMethods.Post];
    static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    delegate ValueTask<Answer> Handler(QueryParameters parameters, Caller caller, CancellationToken cancellation);

    /// <summary>Maps the routes under <c>/api/v1/</c>.</summary>
    /// <param name="stored">The signals, where others than <paramref name="rules"/> find them out.</param>
    /// <param name="memory">The memory that all answers being written may use together; unbounded if null.</param>
    /// <param name="shortage">Why nothing new can be asked now; null where it can.</param>
    internal static void Map(
        IEndpointRouteBuilder routes, PromQLEngine engine, ISeriesSearch search, SearchOptions searches, RulesHost rules, TimeProvider time,
        ISignals? stored = null, ByteBudget? memory = null, Func<string?>? shortage = null)
    {
        var (queries, series) = (new QueryEndpoints(engine, time), new SeriesEndpoints(new SeriesSearches(search, searches, time)));
        Add("query", GetAndPost, queries.InstantAsync);
        Add("query_range", GetAndPost, queries.RangeAsync);
        Add("format_query", GetAndPost, (parameters, _, _) => QueryEndpoints.Format(parameters)).ReadsNoTenant();
        Add("series", GetAndPost, series.SeriesAsync);
        Add("labels", GetAndPost, series.LabelsAsync);
        Add("label/{name}/values", Get, series.LabelValuesAsync);
        Add("metadata", Get, (parameters, _, _) => SeriesEndpoints.Metadata(parameters)).ReadsNoTenant();
        var signals = stored ?? rules;
        Add("rules", Get, (parameters, caller, _) => Rules(rules, signals, parameters, caller.Rights));
        Add("alerts", Get, (_, caller, _) => new(new Answer(
            json => RulesJson.WriteAlerts(json, signals.Signals.Where(s => caller.Sees(ClusterId.Of(s.Labels)))))));
        Add("status/buildinfo", Get, (_, _, _) => new(new Answer(WriteBuildInfo))).ReadsNoTenant();

        IEndpointConventionBuilder Add(string path, string[] methods, Handler handle) =>
            routes.MapMethods($"/api/v1/{path}", methods, async c =>
            {
                using var share = memory?.Open();
                await AnswerAsync(c, handle, share, shortage?.Invoke());
            }).Needs(Permission.Read);
    }

    static ValueTask<Answer> Rules(RulesHost rules, ISignals signals, QueryParameters parameters, Rights rights)
    {
        var filter = RuleFilter.From(parameters);
        return new(new Answer(json => RulesJson.WriteGroups(json, rules.Groups, signals, filter, rights)));
    }

    static void WriteBuildInfo(Utf8JsonWriter json)
    {
        var version =
            typeof(PrometheusApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        json.WriteStartObject();
        json.WriteString("version", version.Split('+')[0]);
        json.WriteString("revision", version.Split('+').ElementAtOrDefault(1) ?? "");
        json.WriteString("branch", "");
        json.WriteString("buildUser", "");
        json.WriteString("buildDate", "");
        json.WriteString("goVersion", "");
        json.WriteString("application", "Whistle");
        json.WriteEndObject();
    }

    internal static async Task SucceedAsync(HttpContext context, Answer answer, ReadWarnings? warnings = null)
    {
        using var held = answer.Held;
        // Once it has begun, an answer that takes too long can only be broken off.
        await using var _ = held?.Ended.Register(context.Abort) ?? default;
        await WriteAsync(context, StatusCodes.Status200OK, Success(answer, warnings));
    }

    static IEnumerable<Action<Utf8JsonWriter>> Success(Answer answer, ReadWarnings? warnings) =>
    [
        static json =>
        {
            json.WriteString("status", "success");
            json.WritePropertyName("data");
        },
        .. answer.Parts,
        json => WriteWarnings(json, [.. answer.IsCut ? ["results truncated due to limit"] : (string[])[], .. warnings?.Texts ?? []]),
    ];

    static void WriteWarnings(Utf8JsonWriter json, IReadOnlyList<string> warnings)
    {
        if (warnings.Count == 0)
            return;
        json.WriteStartArray("warnings");
        foreach (var warning in warnings)
            json.WriteStringValue(warning);
        json.WriteEndArray();
    }

    static async Task AnswerAsync(HttpContext context, Handler handle, ByteShare? memory, string? shortage)
    {
        try
        {
            if (shortage is not null)
                throw new BusyException(shortage);
            using var matching = MatchingBudget.Start(MatchingBudget.DefaultSteps, context.RequestAborted);
            var parameters = await QueryParameters.ReadAsync(context.Request, memory, context.RequestAborted);
            using var warnings = ReadWarnings.Collect();
            var caller = await Caller.BindAsync(context);
            await SucceedAsync(context, await handle(parameters, caller, context.RequestAborted), warnings);
        }
        catch (BadParameterException e)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "bad_data", e.Message);
        }
        catch (PromQLException e) when (e.Kind is PromQLErrorKind.BadData)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "bad_data", $"invalid parameter \"query\": {e.Message}");
        }
        catch (PromQLException e)
        {
            await RefuseAsync(context, StatusCodes.Status422UnprocessableEntity, "execution", e.Message);
        }
        catch (MatchingException e)
        {
            await RefuseAsync(context, StatusCodes.Status422UnprocessableEntity, "execution", e.Message);
        }
        catch (StoreException e)
        {
            // What it says names files, which are the operator's business.
            var reference = context.RequestServices.GetRequiredService<FaultReferences>()
                .Log(e, context.Request.Method, context.Request.Path);
            await RefuseAsync(
                context, StatusCodes.Status500InternalServerError, "internal",
                $"the store did not answer; the server's log says why, under {reference}");
        }
        catch (BusyException e) when (!context.Response.HasStarted)
        {
            context.Response.Headers.RetryAfter = RetryAfterSeconds;
            await RefuseAsync(
                context, StatusCodes.Status503ServiceUnavailable, "unavailable",
                $"the server cannot answer this now: {e.Message}; ask for less, or try again");
        }
        catch (OutOfMemoryException e) when (!context.Response.HasStarted)
        {
            await RefuseAsync(
                context, StatusCodes.Status503ServiceUnavailable, "unavailable",
                $"the server has no memory for this query now: {e.Message}; ask for less, or try again");
        }
        catch (TimeoutException e)
        {
            await RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "timeout", e.Message);
        }
    }

    /// <summary>An error as Prometheus shapes it.</summary>
    /// <param name="context">Of the request.</param>
    /// <param name="status">Of HTTP.</param>
    /// <param name="type">Such as <c>bad_data</c> or <c>unavailable</c>.</param>
    /// <param name="error">What is wrong.</param>
    public static Task RefuseAsync(HttpContext context, int status, string type, string error) => WriteAsync(context, status,
    [
        json =>
        {
            json.WriteString("status", "error");
            json.WriteString("errorType", type);
            json.WriteString("error", error);
        },
    ]);

    static async Task WriteAsync(HttpContext context, int status, IEnumerable<Action<Utf8JsonWriter>> parts)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, Json);
        json.WriteStartObject();
        foreach (var write in parts)
        {
            write(json);
            if (json.BytesPending + context.Response.BodyWriter.UnflushedBytes < MostUnsent)
                continue;
            await json.FlushAsync(context.RequestAborted);
            await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
        }

        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);
    }
}
