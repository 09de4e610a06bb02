using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

using Whistle.Alerting.Channels;
using Whistle.Alerting.Outbox;

namespace Whistle.Alerting.PagerDuty;

/// <summary>Posts events to PagerDuty's Events API v2. 202 is taken, 400 final; a full minute, a fault or silence is tried again.</summary>
sealed class PagerDutyChannel : IChannel
{
    const int LongestReason = 512;

    readonly PagerDutyOptions _options;
    readonly Uri? _server;
    readonly TimeProvider _time;
    readonly HttpClient _http;

    public PagerDutyChannel(PagerDutyOptions options, Uri? server, TimeProvider time)
    {
        _options = options;
        _server = server;
        _time = time;
        // The time limit runs on the given clock, so not in the client.
        _http = new HttpClient(options.Handler ?? DefaultHandler(), disposeHandler: options.Handler is null)
        { Timeout = Timeout.InfiniteTimeSpan };
    }

    public string Name => "pagerduty";

    public int CallsPerMinute => _options.CallsPerMinute;

    public bool SendsDigests => false;

    public IEnumerable<OutboxMessage> Compose(AlertEvent alert, ComposeContext context) => alert switch
    {
        AlertEvent.Paged paged => [PagerDutyEvent.Triggered(paged, _server, context.Now)],
        AlertEvent.PageResolved resolved => [PagerDutyEvent.Resolved(resolved)],
        AlertEvent.Changed changed => [PagerDutyEvent.Changed(changed)],
        // Resolving its pages says it.
        AlertEvent.IncidentClosed or AlertEvent.TicketUpdated or AlertEvent.Digest => [],
        _ => throw new InvalidOperationException($"{alert} is no event."),
    };

    public async Task<Delivery> SendAsync(OutboxRow row, CancellationToken cancellation)
    {
        if (Address(row.Action) is not { } address)
            return new Delivery.Final($"There is no action \"{row.Action}\" of PagerDuty; the row in the outbox is damaged.");
        ByteArrayContent content;
        try
        {
            content = Content(row);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new Delivery.Retryable($"The routing key cannot be read: {e.Message}", NotAccepted: true);
        }
        catch (JsonException e)
        {
            return new Delivery.Final($"What was to be sent cannot be read, so the row in the outbox is damaged: {e.Message}");
        }

        using (content)
            return await PostAsync(address, content, cancellation);
    }

    async Task<Delivery> PostAsync(Uri address, HttpContent content, CancellationToken cancellation)
    {
        using var patience = new CancellationTokenSource(_options.Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = content };
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            // Only this: what a proxy in between answers with 200 is nobody's page.
            return response.StatusCode is HttpStatusCode.Accepted
                ? new Delivery.Delivered()
                : Judge(response, await ReasonAsync(response, either.Token));
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return new Delivery.Retryable($"{address} did not answer within {_options.Timeout.TotalSeconds} s.");
        }
        catch (HttpRequestException e)
        {
            return new Delivery.Retryable($"{address} cannot be reached: {e.Message}", NotAccepted: NeverConnected(e));
        }
    }

    public void Dispose() => _http.Dispose();

    // Null where the action is not known.
    Uri? Address(string action) => action switch
    {
        PagerDutyEvent.Trigger or PagerDutyEvent.Resolve => new($"{_options.Address.AbsoluteUri.TrimEnd('/')}/v2/enqueue"),
        PagerDutyEvent.Change => new($"{_options.Address.AbsoluteUri.TrimEnd('/')}/v2/change/enqueue"),
        _ => null,
    };

    ByteArrayContent Content(OutboxRow row)
    {
        var body = JsonNode.Parse(row.Payload) as JsonObject ?? throw new JsonException("It is not an object.");
        body["routing_key"] = _options.ReadKey();
        var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body.ToJsonString()));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }

    // A wrong address, key service or proxy is fixed by people, and the page must still be there then.
    Delivery Judge(HttpResponseMessage response, string reason) => response.StatusCode switch
    {
        HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnprocessableEntity =>
            new Delivery.Final(reason),
        HttpStatusCode.TooManyRequests => new Delivery.Retryable(reason, NotAccepted: true, After(response), Answered: true),
        _ => new Delivery.Retryable(reason, After: After(response), Answered: true),
    };

    TimeSpan? After(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } wait } => wait,
        { Date: { } date } => date - _time.GetUtcNow(),
        _ => null,
    };

    static async Task<string> ReasonAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var start = new byte[LongestReason];
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellation);
            var length = await body.ReadAtLeastAsync(start, start.Length, throwOnEndOfStream: false, cancellation);
            return $"{(int)response.StatusCode} {Encoding.UTF8.GetString(start, 0, length).ReplaceLineEndings(" ").Trim()}".Trim();
        }
        catch (IOException e)
        {
            // The status has said what became of the event.
            return $"{(int)response.StatusCode}, and the answer broke off: {e.Message}";
        }
    }

    static bool NeverConnected(HttpRequestException e) =>
        e.HttpRequestError is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError
            or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError;

    // A redirect would turn the POST into a GET or carry the key elsewhere; people must configure the right address.
    static SocketsHttpHandler DefaultHandler() => new() { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) };
}
