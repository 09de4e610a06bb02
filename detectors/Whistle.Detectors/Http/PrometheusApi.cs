using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

using Whistle.PromQL;

namespace Whistle.Detectors.Http;

/// <summary>
/// Prometheus's HTTP API for queries, rules and alerts. Errors: <c>bad_data</c> 400, <c>execution</c> 422, <c>timeout</c> 503.
/// Whoever maps it puts authentication in front.
/// </summary>
public sealed class PrometheusApi
{
    // Prometheus's limit: enough for a week at a minute's resolution.
    const long MostPoints = 11_000;

    static readonly string[] GetAndPost = [HttpMethods.Get, HttpMethods.Post];
    static readonly JsonWriterOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    readonly PromQLEngine _engine;
    readonly RulesHost _rules;
    readonly TimeProvider _time;

    PrometheusApi(PromQLEngine engine, RulesHost rules, TimeProvider time)
    {
        _engine = engine;
        _rules = rules;
        _time = time;
    }

    /// <summary>Maps the routes under <c>/api/v1/</c>.</summary>
    public static void Map(IEndpointRouteBuilder routes, PromQLEngine engine, RulesHost rules, TimeProvider time)
    {
        var api = new PrometheusApi(engine, rules, time);
        routes.MapMethods("/api/v1/query", GetAndPost, c => AnswerAsync(c, api.InstantAsync));
        routes.MapMethods("/api/v1/query_range", GetAndPost, c => AnswerAsync(c, api.RangeAsync));
        routes.MapGet("/api/v1/rules", (RequestDelegate)(c => AnswerAsync(c, api.RulesAsync)));
        routes.MapGet("/api/v1/alerts", (RequestDelegate)(c => AnswerAsync(c, api.AlertsAsync)));
        routes.MapGet("/api/v1/status/buildinfo", (RequestDelegate)(c => AnswerAsync(c, BuildInfoAsync)));
    }

    async ValueTask<Action<Utf8JsonWriter>> InstantAsync(QueryParameters parameters, CancellationToken cancellation)
    {
        var time = parameters.Time("time", _time.GetUtcNow());
        var expression = Parser.Parse(parameters.Required("query"));
        var result = await ExecuteAsync(parameters, token => _engine.InstantAsync(expression, time, token), cancellation);
        return json => PrometheusJson.Write(json, result);
    }

    async ValueTask<Action<Utf8JsonWriter>> RangeAsync(QueryParameters parameters, CancellationToken cancellation)
    {
        var (start, end) = (parameters.Time("start"), parameters.Time("end"));
        var step = (long)parameters.Duration("step").TotalMilliseconds;
        if (end < start)
            throw new BadParameterException("invalid parameter \"end\": end timestamp must not be before start time");
        if (step <= 0)
            throw new BadParameterException("invalid parameter \"step\": it must be at least one millisecond; try a larger one");
        if ((end - start) / step > MostPoints)
            throw new BadParameterException($"exceeded maximum resolution of {MostPoints:N0} points per timeseries; try a larger step or a shorter range");
        var expression = Parser.Parse(parameters.Required("query"));
        var result = await ExecuteAsync(parameters, async token => await _engine.RangeAsync(expression, start, end, step, token), cancellation);
        return json => PrometheusJson.Write(json, result);
    }

    ValueTask<Action<Utf8JsonWriter>> RulesAsync(QueryParameters parameters, CancellationToken cancellation)
    {
        var type = parameters["type"];
        if (type is not (null or "" or "alert" or "record"))
            throw new BadParameterException($"invalid parameter \"type\": not supported value \"{type}\"; it is alert or record");
        return ValueTask.FromResult<Action<Utf8JsonWriter>>(json => RulesJson.WriteGroups(json, _rules.Groups, string.IsNullOrEmpty(type) ? null : type));
    }

    ValueTask<Action<Utf8JsonWriter>> AlertsAsync(QueryParameters parameters, CancellationToken cancellation) =>
        ValueTask.FromResult<Action<Utf8JsonWriter>>(json => RulesJson.WriteAlerts(json, _rules.Signals));

    static ValueTask<Action<Utf8JsonWriter>> BuildInfoAsync(QueryParameters parameters, CancellationToken cancellation)
    {
        var version = typeof(PrometheusApi).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        return ValueTask.FromResult<Action<Utf8JsonWriter>>(json =>
        {
            json.WriteStartObject();
            json.WriteString("version", version.Split('+')[0]);
            json.WriteString("revision", version.Split('+').ElementAtOrDefault(1) ?? "");
            json.WriteString("branch", "");
            json.WriteString("buildUser", "");
            json.WriteString("buildDate", "");
            json.WriteString("goVersion", "");
            json.WriteString("application", "Whistle");
            json.WriteEndObject();
        });
    }

    async ValueTask<QueryValue> ExecuteAsync(
        QueryParameters parameters, Func<CancellationToken, Task<QueryValue>> run, CancellationToken cancellation)
    {
        using var limit = new CancellationTokenSource(parameters.Timeout(), _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        try
        {
            return await run(either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            throw new TimeoutException("query timed out in expression evaluation; ask for less or give a longer timeout");
        }
    }

    internal static Task SucceedAsync(HttpContext context, Action<Utf8JsonWriter> write) => WriteAsync(context, StatusCodes.Status200OK, json =>
    {
        json.WriteString("status", "success");
        json.WritePropertyName("data");
        write(json);
    });

    static async Task AnswerAsync(HttpContext context, Func<QueryParameters, CancellationToken, ValueTask<Action<Utf8JsonWriter>>> handle)
    {
        try
        {
            var parameters = await QueryParameters.ReadAsync(context.Request, context.RequestAborted);
            var write = await handle(parameters, context.RequestAborted);
            await SucceedAsync(context, write);
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
        catch (TimeoutException e)
        {
            await RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "timeout", e.Message);
        }
    }

    static Task RefuseAsync(HttpContext context, int status, string type, string error) => WriteAsync(context, status, json =>
    {
        json.WriteString("status", "error");
        json.WriteString("errorType", type);
        json.WriteString("error", error);
    });

    static async Task WriteAsync(HttpContext context, int status, Action<Utf8JsonWriter> write)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter, Json);
        json.WriteStartObject();
        write(json);
        json.WriteEndObject();
        await json.FlushAsync(context.RequestAborted);
    }
}
