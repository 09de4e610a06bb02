using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;

using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Actions.Files;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

namespace Whistle.Agent.Sending;

/// <summary>Posts reports to the server as Prometheus remote-write 2.0, one a request. The token is read again each time.</summary>
sealed class ReportSender : IDisposable
{
    const int LongestReason = 512;
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    readonly HttpClient _http;
    readonly Uri _address;
    readonly AgentOptions _options;
    readonly CredentialRenewal _renewal;

    public ReportSender(AgentOptions options, ILogger? log = null)
    {
        _options = options;
        _renewal = new(options, log ?? NullLogger.Instance);
        _address = WriteAddress(options.Server!);
        // The wait is bounded with the agent's own clock below, so not by the client's.
        _http = new HttpClient(options.Handler ?? DefaultHandler(options), disposeHandler: options.Handler is null)
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>
    /// How far this machine's clock is ahead of the server's, as the last answer said; null before there was one. Answers have whole
    /// seconds, so what is less than one, and what the way takes, is not seen.
    /// </summary>
    public TimeSpan? ClockSkew { get; private set; }

    /// <summary>Never throws for what the network, the server or the token file does.</summary>
    public async Task<SendOutcome> SendAsync(ReadOnlyMemory<byte> payload, CancellationToken cancellation)
    {
        using var patience = new CancellationTokenSource(Patience, _options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        try
        {
            using var request = Request(payload);
            var asked = _options.Time.GetUtcNow();
            using var response = await _http.SendAsync(
                request, HttpCompletionOption.ResponseHeadersRead, either.Token).ConfigureAwait(false);
            if (response.Headers.Date is { } told)
                ClockSkew = SkewOf(asked, told, _options.Time.GetUtcNow());
            var outcome = response.IsSuccessStatusCode
                ? new SendOutcome.Accepted() : Judge(response, await ReasonAsync(response, either.Token).ConfigureAwait(false));
            var isRefused = response.StatusCode is HttpStatusCode.Unauthorized;
            return await _renewal.AfterAsync(response.Headers.Contains(AgentHeaders.Renew), isRefused, cancellation).ConfigureAwait(false)
                && isRefused ? new SendOutcome.Retryable("The credential was renewed.") : outcome;
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return new SendOutcome.Retryable($"{_address} did not answer within {Patience.TotalSeconds} s.");
        }
        catch (HttpRequestException e)
        {
            return new SendOutcome.Retryable(ServerTrust.Words(_address, e));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new SendOutcome.Retryable(e.Message);
        }
    }

    public void Dispose()
    {
        _renewal.Dispose();
        _http.Dispose();
    }

    public static Uri WriteAddress(Uri server) => new(server.AbsoluteUri.TrimEnd('/') + "/api/v1/write");

    // A redirect would turn the POST into a GET or carry the token elsewhere; the owner shall name the right address.
    internal static SocketsHttpHandler DefaultHandler(AgentOptions options)
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            UseProxy = !options.Server!.IsLoopback,
            Proxy = options.Proxy is { } proxy ? new WebProxy(proxy) : null,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            // Name changes (a moved server) reach a connection that is never idle, too.
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            MaxConnectionsPerServer = 1,
        };
        options.Trust.Apply(handler);
        return handler;
    }

    // The answer was made at some time within the second that it names, between asking and hearing.
    internal static TimeSpan SkewOf(DateTimeOffset asked, DateTimeOffset told, DateTimeOffset heard) =>
        asked >= told + TimeSpan.FromSeconds(1) ? asked - told - TimeSpan.FromSeconds(1)
        : heard < told ? heard - told
        : TimeSpan.Zero;

    HttpRequestMessage Request(ReadOnlyMemory<byte> payload)
    {
        var content = new ReadOnlyMemoryContent(payload);
        content.Headers.TryAddWithoutValidation("Content-Type", RemoteWriteBody.ContentTypeV2);
        content.Headers.ContentEncoding.Add("snappy");
        var request = new HttpRequestMessage(HttpMethod.Post, _address) { Content = content };
        request.Headers.TryAddWithoutValidation(RemoteWriteBody.VersionHeader, RemoteWriteBody.VersionV2);
        request.Headers.TryAddWithoutValidation("User-Agent", $"{AgentHeaders.Product}{AgentOptions.Version}");
        request.Headers.TryAddWithoutValidation(
            AgentHeaders.Clock, _options.Time.GetUtcNow().ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture));
        if (Token(_options) is { } token)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return request;
    }

    /// <exception cref="SecretException">The token file holds no token that could be taken.</exception>
    internal static string? Token(AgentOptions options) =>
        options.TokenFile is { } path ? new SecretFile(path, AgentOptions.TokenForm).Read() : options.Token;

    SendOutcome Judge(HttpResponseMessage response, string reason) => Judge(response, reason, _address, _options);

    internal static SendOutcome Judge(HttpResponseMessage response, string reason, Uri address, AgentOptions options)
    {
        var status = response.StatusCode;
        var answer = $"{address} answered {(int)status}: {reason}";
        var after = RetryAfter(response.Headers.RetryAfter, options);
        return status switch
        {
            // It is known who this is, and the answer says what is to be done about it.
            HttpStatusCode.Forbidden => new SendOutcome.Retryable($"{answer} The reports wait until then.", after),
            HttpStatusCode.Unauthorized =>
                new SendOutcome.Retryable(
                    $"{answer} Check the agent's token in {options.TokenFile ?? "the agent's options"}; "
                    + "the reports wait until it is correct.",
                    after),
            HttpStatusCode.TooManyRequests when after is null => new SendOutcome.Final(answer),
            HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError =>
                new SendOutcome.Retryable(answer, after),
            >= HttpStatusCode.MultipleChoices and < HttpStatusCode.BadRequest =>
                new SendOutcome.Retryable($"{address} redirects to {response.Headers.Location}. Give the agent that server's address."),
            _ => new SendOutcome.Final(answer),
        };
    }

    static TimeSpan? RetryAfter(RetryConditionHeaderValue? header, AgentOptions options)
    {
        var wait = header?.Delta ?? header?.Date - options.Time.GetUtcNow();
        return wait < TimeSpan.Zero ? TimeSpan.Zero : wait;
    }

    // One line, because it goes into a log, and short, because the other side may be anything.
    internal static async Task<string> ReasonAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var body = new byte[LongestReason];
        var stream = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        await using (stream.ConfigureAwait(false))
        {
            var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false);
            var text = Encoding.UTF8.GetString(body, 0, length);
            var line = string.Concat(text.Select(c => char.IsControl(c) ? ' ' : c)).Trim();
            return line.Length > 0 ? line : response.ReasonPhrase ?? "no reason given";
        }
    }
}
