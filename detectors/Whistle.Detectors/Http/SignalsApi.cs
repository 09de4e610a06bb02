using System.Text.Json;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Whistle.Detectors.Http;

/// <summary>
/// <c>GET /api/whistle/v1/signals[?ended=24h]</c>: <c>data.signals</c> are the active signals, written as in <c>/api/v1/alerts</c>. With
/// <c>ended</c> (a duration; 24 hours are kept), <c>data.ended</c> are those that ended since, the latest first, with
/// <c>endedAt</c> and <c>end</c>: <c>cleared</c>, <c>gone</c> or <c>withdrawn</c>.
/// </summary>
public static class SignalsApi
{
    public static void Map(IEndpointRouteBuilder routes, RulesHost rules, TimeProvider time) =>
        routes.MapGet("/api/whistle/v1/signals", (RequestDelegate)(c => PrometheusApi.AnswerAsync(c, (parameters, _) =>
        {
            var ended = parameters["ended"] is null ? null : rules.EndedSignals(time.GetUtcNow() - parameters.Duration("ended"));
            var active = rules.Signals;
            return ValueTask.FromResult<Action<Utf8JsonWriter>>(json =>
            {
                json.WriteStartObject();
                RulesJson.WriteSignals(json, "signals", active);
                if (ended is not null)
                    RulesJson.WriteSignals(json, "ended", ended);
                json.WriteEndObject();
            });
        })));
}
