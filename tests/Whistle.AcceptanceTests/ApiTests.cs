using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Time.Testing;
using Microsoft.OpenApi;

using Whistle.Detectors.Http;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Whistle's own API: one document of all of it, and one shape of all that it refuses.</summary>
public sealed class ApiTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_OpenAPI_document_has_every_route_with_all_that_a_client_needs()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var text = await server.Http.GetStringAsync("openapi/v1.json", Cancellation);
        var (document, diagnostic) = OpenApiDocument.Parse(text, "json");

        Assert.Empty(diagnostic!.Errors);
        Assert.Empty(diagnostic.Warnings);
        var operations =
            document!.Paths.SelectMany(p => p.Value.Operations!.Select(o => (Key: $"{o.Key} {p.Key}", Operation: o.Value))).ToList();
        var mapped = server.App.Endpoints.OfType<RouteEndpoint>()
            .Where(e => e.RoutePattern.RawText!.StartsWith(WhistleApi.Root, StringComparison.Ordinal))
            .SelectMany(e => e.Metadata.GetMetadata<IHttpMethodMetadata>()!.HttpMethods.Select(
                m => $"{m} {e.RoutePattern.RawText!.Replace(":long", "")}"));
        Assert.Equal(mapped.Order(), operations.Select(o => o.Key).Order());
        Assert.All(operations, o =>
        {
            Assert.False(string.IsNullOrEmpty(o.Operation.Summary), o.Key);
            Assert.False(string.IsNullOrEmpty(o.Operation.OperationId), o.Key);
            Assert.All(o.Operation.Parameters ?? [], p => Assert.False(string.IsNullOrEmpty(p.Description), $"{o.Key} {p.Name}"));
            Assert.Contains("401", o.Operation.Responses!.Keys);
            Assert.Contains(o.Operation.Responses.Keys, s => s is "200" or "202" or "204");
            Assert.All(o.Operation.Responses.Where(r => r.Key[0] == '4'), r => Assert.Equal(nameof(ApiError), SchemaOf(r.Value)));
        });
        Assert.Equal("bearer", Assert.IsType<OpenApiSecurityScheme>(document.Components!.SecuritySchemes!.Single().Value).Scheme);
        Assert.Single(document.Security!);
        AssertResolved(JsonDocument.Parse(text).RootElement);
    }

    [Fact]
    public async Task An_answer_is_dated_by_the_clock_that_its_times_are_from()
    {
        var clock = new FakeTimeProvider(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero));
        await using var server = await InProcessServer.StartAsync(Cancellation, change: o => o with { Time = clock });

        using var answer = await server.Http.GetAsync("api/whistle/v1/incidents", Cancellation);

        Assert.Equal(clock.GetUtcNow(), answer.Headers.Date);
    }

    [Fact]
    public async Task The_document_and_the_API_are_for_those_with_the_token()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var stranger = new HttpClient { BaseAddress = server.App.Address };
        using var document = await stranger.GetAsync("openapi/v1.json", Cancellation);
        using var incidents = await stranger.GetAsync("api/whistle/v1/incidents", Cancellation);
        stranger.DefaultRequestHeaders.Add("Cookie", "whistle=old");
        using var withCookie = await stranger.GetAsync("api/whistle/v1/incidents", Cancellation);

        Assert.Equal(
            [HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized, HttpStatusCode.Unauthorized],
            [document.StatusCode, incidents.StatusCode, withCookie.StatusCode]);
        Assert.Contains("Authorization: Bearer", await ErrorAsync(incidents), StringComparison.Ordinal);
        Assert.Contains("Authorization: Bearer", await ErrorAsync(withCookie), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PUT", "kill-switch", "{\"on\":true", 400, "The body is not valid JSON, at line 1, byte 11.")]
    [InlineData("PUT", "kill-switch", "{\"on\":true,\"on\":false,\"reason\":\"x\"}", 400, "")]
    [InlineData("PUT", "kill-switch", "{\"on\":true,\"reason\":\"x\\u0000\"}", 400, "reason: it has control characters")]
    [InlineData("PUT", "runbook-modes", "{\"mode\":\"observe,approve\"}", 400, "mode must be one of")]
    [InlineData("PUT", "runbook-modes", "{\"mode\":\"off, automatic\"}", 400, "mode must be one of")]
    [InlineData("PUT", "runbook-modes", "{\"mode\":\"3\"}", 400, "mode must be one of")]
    [InlineData("PUT", "kill-switch", "", 400, "The body must be a JSON object with on, and where ")]
    [InlineData("PUT", "kill-switch", "null", 400, "The body must be a JSON object with on, and where ")]
    [InlineData("PUT", "kill-switch", "[]", 400, "The body must be a JSON object with on, and where ")]
    [InlineData("PUT", "kill-switch", "{\"on\":false}", 400, "reason: it is empty")]
    [InlineData("PUT", "kill-switch", "{\"on\":1,\"reason\":\"x\"}", 400, "on must be true or false.")]
    [InlineData("PUT", "kill-switch", "{\"on\":false,\"reason\":null}", 400, "reason: it is empty")]
    [InlineData("PUT", "kill-switch", "{\"on\":false,\"reason\":\" \"}", 400, "reason: it is empty")]
    [InlineData("PUT", "runbook-modes", "{\"mode\":\"always\"}", 400, "mode must be one of off, observe, approve, automatic.")]
    [InlineData("PUT", "runbook-modes", "{\"mode\":3}", 400, "mode must be one of off, observe, approve, automatic.")]
    [InlineData(
        "PUT", "runbook-modes", "{\"mode\":\"off\",\"clustre\":\"c\"}", 400, "The body has the member clustre, which is not known here")]
    [InlineData(
        "PUT", "runbook-modes", "{\"mode\":\"off\",\"runbook\":\"x\"}", 400,
        "There is no runbook \"x\"; there are node-certificate-expiring, ")]
    [InlineData(
        "POST", "pauses", "{\"reason\":\"x\"}", 400,
        "The body must be a JSON object with reason, for, and where wanted tenant, cluster, node, runbook, force.")]
    [InlineData(
        "PUT", "tenants/x/limits", "{\"serie\":1}", 400,
        "The body has the member serie, which is not known here: it is a JSON object with any of series, newSeries, ")]
    [InlineData("POST", "pauses", "{\"reason\":\"x\",\"for\":\"soon\"}", 400, "for: \"soon\" is not a duration; write it like")]
    [InlineData(
        "POST", "tickets/1/state", "{\"state\":\"done\"}", 400,
        "state must be one of open, waiting-on-customer, in-progress, resolved, closed.")]
    [InlineData("POST", "tickets/1/comments", "{\"text\":\"x\"}", 404, "There is no ticket 1.")]
    [InlineData("POST", "runs/x/approve", "{\"planHash\":\"x\"}", 404, "There is no run x.")]
    [InlineData("POST", "runs/x/approve", "{}", 400, "The body must be a JSON object with planHash, and where wanted for, step.")]
    [InlineData(
        "POST", "windows", "{\"recurrence\":\"FREQ=DAILY\",\"start\":\"2026-01-03T22:00\",\"for\":\"soon\"}", 400,
        "for: \"soon\" is not a duration")]
    [InlineData(
        "POST", "freezes", "{\"reason\":\"x\"}", 400,
        "The body must be a JSON object with reason, for, and where wanted from, tenant, cluster, force.")]
    [InlineData("POST", "runs/x/tasks/y", "{\"note\":\"x\"}", 404, "There is no run x.")]
    [InlineData("GET", "runbook-replay?from=soon", null, 400, "from: \"soon\" is not a duration")]
    [InlineData("GET", "incidents/x", null, 404, "There is no incident x.")]
    [InlineData("GET", "incidents?since=x", null, 400, "since: \"x\" is not a duration")]
    [InlineData("GET", "signals?ended=x", null, 400, "ended: \"x\" is not a duration")]
    [InlineData("GET", "tickets?state=x", null, 400, "state: \"x\" is not a state of a ticket; it is one of open")]
    [InlineData("DELETE", "pauses/x", null, 404, "There is no /api/whistle/v1/pauses/x. /openapi/v1.json lists what there is.")]
    [InlineData("PATCH", "pauses", null, 405, "/api/whistle/v1/pauses does not take PATCH, only GET, POST.")]
    public async Task Every_refusal_has_one_shape_and_a_clear_reason(string method, string path, string? body, int status, string reason)
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var request = new HttpRequestMessage(new(method), $"api/whistle/v1/{path}");
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var answer = await server.Http.SendAsync(request, Cancellation);

        Assert.Equal(status, (int)answer.StatusCode);
        Assert.StartsWith(reason, await ErrorAsync(answer), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_is_not_sent_as_JSON_is_refused_in_the_same_shape()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var answer = await server.Http.PutAsync(
            "api/whistle/v1/kill-switch", new StringContent("on", new MediaTypeHeaderValue("text/plain")), Cancellation);

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.StatusCode);
        Assert.Contains("Content-Type: application/json", await ErrorAsync(answer), StringComparison.Ordinal);
    }

    static async Task<string> ErrorAsync(HttpResponseMessage answer)
    {
        Assert.Equal("application/json", answer.Content.Headers.ContentType?.MediaType);
        return Assert.Single(
            JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancellation)).RootElement.EnumerateObject(),
            p => p.Name == "error").Value.GetString()!;
    }

    static string? SchemaOf(IOpenApiResponse response) =>
        (response.Content?["application/json"].Schema as OpenApiSchemaReference)?.Reference.Id;

    static void AssertResolved(JsonElement document)
    {
        var schemas = document.GetProperty("components").GetProperty("schemas");
        Assert.All(References(document), r => Assert.True(schemas.TryGetProperty(r["#/components/schemas/".Length..], out _), r));
    }

    static IEnumerable<string> References(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(p => p.Name == "$ref" ? [p.Value.GetString()!] : References(p.Value)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(References),
        _ => [],
    };
}
