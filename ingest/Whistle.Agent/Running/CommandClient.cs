using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

using Whistle.Actions.Protocol;
using Whistle.Agent.Sending;
using Whistle.Agent.Settings;

namespace Whistle.Agent.Running;

/// <summary>Speaks the command part of the agent protocol. Never throws for what the network, the server or the token file does.</summary>
sealed class CommandClient : IDisposable
{
    const int LongPollSeconds = 30;
    const long LargestAnswer = 4 << 20;
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    readonly AgentOptions _options;
    readonly HttpClient _http;

    public CommandClient(AgentOptions options)
    {
        _options = options;
        // A connection of its own: a long poll must not hold up a report.
        _http = new HttpClient(options.Handler ?? ReportSender.DefaultHandler(options), disposeHandler: options.Handler is null)
        {
            Timeout = Timeout.InfiniteTimeSpan,
            MaxResponseContentBufferSize = LargestAnswer,
        };
    }

    /// <returns>Asked: the generation under which the server wants the journal before it gives anything; null where it does not.</returns>
    public async Task<(SendOutcome Outcome, IReadOnlyList<LeasedCommand> Commands, string? Asked)> LeaseAsync(
        CancellationToken cancellation)
    {
        string? asked = null;
        var (outcome, commands) = await PostAsync(
            "lease", new LeaseRequest(LongPollSeconds, TellsJournal: true), AgentProtocolJson.Default.LeaseRequest,
            AgentProtocolJson.Default.ListLeasedCommand, TimeSpan.FromSeconds(LongPollSeconds) + Patience, cancellation,
            response => asked = response.Headers.TryGetValues(AgentProtocol.TellJournal, out var generations)
                ? generations.FirstOrDefault()
                : null).ConfigureAwait(false);
        return (outcome, commands ?? [], asked);
    }

    /// <summary>A server that cannot be reached is retried for half a minute: it may be restarting.</summary>
    public async ValueTask<BeginAnswer> BeginAsync(LeasedCommand command, CancellationToken cancellation)
    {
        var backoff = new Backoff(_options.Seed, _options.LongestWait);
        var asked = _options.Time.GetTimestamp();
        while (true)
        {
            var (answer, retry) = await BeginOnceAsync(command, cancellation).ConfigureAwait(false);
            var wait = backoff.Next(retry?.After);
            if (retry is null || _options.Time.GetElapsedTime(asked) + wait > Patience)
                return answer;
            await Task.Delay(wait, _options.Time, cancellation).ConfigureAwait(false);
        }
    }

    async Task<(BeginAnswer Answer, SendOutcome.Retryable? Retry)> BeginOnceAsync(LeasedCommand command, CancellationToken cancellation)
    {
        var (outcome, answer) = await PostAsync(
            $"{Uri.EscapeDataString(command.Id)}/begin", new BeginRequest(command.Token), AgentProtocolJson.Default.BeginRequest,
            AgentProtocolJson.Default.BeginAnswer, Patience, cancellation).ConfigureAwait(false);
        return outcome switch
        {
            SendOutcome.Accepted =>
                (answer ?? new BeginAnswer(false, 0, "The server sent an empty answer to the request for a permit."), null),
            SendOutcome.Final final => (new BeginAnswer(false, 0, $"The permit was refused: {final.Reason}"), null),
            SendOutcome.Retryable retry =>
                (new BeginAnswer(false, 0, $"The server could not be asked for a permit: {retry.Reason}"), retry),
            _ => throw new InvalidOperationException($"Unknown outcome {outcome}."),
        };
    }

    public async Task<SendOutcome> ReportAsync(string id, CommandResult result, CancellationToken cancellation)
    {
        var (outcome, _) = await PostAsync<CommandResult, BeginAnswer>(
            $"{Uri.EscapeDataString(id)}/result", result, AgentProtocolJson.Default.CommandResult, null, Patience,
            cancellation).ConfigureAwait(false);
        return outcome;
    }

    public async Task<SendOutcome> ReportJournalAsync(JournalReport report, CancellationToken cancellation)
    {
        var (outcome, _) = await PostAsync<JournalReport, BeginAnswer>(
            "journal", report, AgentProtocolJson.Default.JournalReport, null, Patience, cancellation).ConfigureAwait(false);
        return outcome;
    }

    public void Dispose() => _http.Dispose();

    async Task<(SendOutcome Outcome, TAnswer? Answer)> PostAsync<T, TAnswer>(
        string path, T body, JsonTypeInfo<T> bodyType, JsonTypeInfo<TAnswer>? answerType, TimeSpan patience, CancellationToken cancellation,
        Action<HttpResponseMessage>? look = null)
        where TAnswer : class
    {
        var address = new Uri($"{_options.Server!.AbsoluteUri.TrimEnd('/')}/agent/v1/commands/{path}");
        using var limit = new CancellationTokenSource(patience, _options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, limit.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = JsonContent.Create(body, bodyType) };
            request.Headers.TryAddWithoutValidation("User-Agent", $"whistle-agent/{AgentOptions.Version}");
            if (ReportSender.Token(_options) is { } token)
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
            using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
                return (await JudgeAsync(response, address, either.Token).ConfigureAwait(false), null);
            look?.Invoke(response);
            if (answerType is null || response.StatusCode == HttpStatusCode.NoContent)
                return (new SendOutcome.Accepted(), null);
            return (new SendOutcome.Accepted(), await response.Content.ReadFromJsonAsync(answerType, either.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return (new SendOutcome.Retryable($"{address} did not answer within {patience.TotalSeconds} s."), null);
        }
        catch (HttpRequestException e)
        {
            return (new SendOutcome.Retryable(ServerTrust.Words(address, e)), null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return (new SendOutcome.Retryable(e.Message), null);
        }
    }

    // A report that is refused with 429 and no wait is dropped; a command is not.
    async Task<SendOutcome> JudgeAsync(HttpResponseMessage response, Uri address, CancellationToken cancellation)
    {
        var outcome = ReportSender.Judge(
            response, await ReportSender.ReasonAsync(response, cancellation).ConfigureAwait(false), address, _options);
        return response.StatusCode == HttpStatusCode.TooManyRequests
            && outcome is SendOutcome.Final final ? new SendOutcome.Retryable(final.Reason) : outcome;
    }
}
