using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

using Microsoft.Extensions.Logging;

using Whistle.Actions.Files;
using Whistle.Actions.Protocol;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

namespace Whistle.Agent.Sending;

/// <summary>
/// Renews the agent's credential when the server asks. The new one is on the disk before the server hears of it and takes the old one's
/// place once the server has it, so that whatever ends the agent in between, the next try goes on: nothing is lost and nobody locked out.
/// The one before it stays on the disk: a server that was restored from a backup may know only that.
/// </summary>
sealed class CredentialRenewal(AgentOptions options, ILogger log) : IDisposable
{
    // Whatever stands in the way, it is not asked about with every report.
    static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    const int LargestAnswer = 16 << 10;

    static readonly SecretForm NextForm = SecretForm.Token("the agent's next credential", AccessToken.OfSender);
    static readonly SecretForm PreviousForm = SecretForm.Line("the agent's previous credential") with { IsPlaced = false };

    readonly HttpClient _http = new(options.Handler ?? ReportSender.DefaultHandler(options), disposeHandler: options.Handler is null)
    {
        Timeout = Timeout.InfiniteTimeSpan,
        MaxResponseContentBufferSize = LargestAnswer,
    };

    DateTimeOffset _notBefore = DateTimeOffset.MinValue;

    /// <summary>
    /// To be called after each answer. Does nothing unless the server asked, or the credential is refused and another one may count: a new
    /// one that was begun, or the one before. Never throws for what the network, the server or the files do.
    /// </summary>
    /// <param name="isAsked">The answer had <see cref="AgentHeaders.Renew"/>.</param>
    /// <param name="isRefused">It was 401.</param>
    /// <returns>Whether the credential is another now.</returns>
    public async Task<bool> AfterAsync(bool isAsked, bool isRefused, CancellationToken cancellation)
    {
        if (options.TokenFile is not { } file || !(isAsked || isRefused) || options.Time.GetUtcNow() < _notBefore)
            return false;
        var isBegun = isAsked || File.Exists(AgentOptions.NextTokenFile(file));
        if (!isBegun && !File.Exists(AgentOptions.PreviousTokenFile(file)))
            return false;
        _notBefore = options.Time.GetUtcNow() + Pause;
        return (isBegun && await TryAsync(RenewAsync, file, cancellation).ConfigureAwait(false))
            || (isRefused && await TryAsync(GoBackAsync, file, cancellation).ConfigureAwait(false));
    }

    /// <summary>Asks whether the server takes what the file holds, or what the agent would try in its place; nothing is renewed.</summary>
    /// <returns>OK where it does; else how it refuses what the file holds, with its reason.</returns>
    /// <exception cref="HttpRequestException">It does not answer.</exception>
    /// <exception cref="SecretException">The file holds no credential that could be taken.</exception>
    public async Task<(HttpStatusCode Status, string Reason)> CheckAsync(string file, CancellationToken cancellation)
    {
        var current = new SecretFile(file, AgentOptions.TokenForm).Read();
        // Shown for itself, it is not renewed, and the answer says whether it counts.
        var answer = await AskAsync(current, current, cancellation).ConfigureAwait(false);
        if (answer.Status is not HttpStatusCode.Unauthorized)
            return answer;
        foreach (var other in Others(file, current))
        {
            if ((await AskAsync(other, other, cancellation).ConfigureAwait(false)).Status is HttpStatusCode.OK)
                return (HttpStatusCode.OK, "");
        }

        return answer;
    }

    static IEnumerable<string> Others(string file, string current)
    {
        if (IsLink(file))
            yield break;
        if (File.Exists(AgentOptions.NextTokenFile(file)))
            yield return new SecretFile(AgentOptions.NextTokenFile(file), NextForm).Read();
        if (PreviousOf(file, current) is { } previous)
            yield return previous;
    }

    // The credential lies where its link leads, as Kubernetes mounts it: that is for whoever put it there to change.
    static bool IsLink(string file) => new FileInfo(file).LinkTarget is not null;

    // What was put there since, by hand or by an enrolment, succeeds none, and may be another server's.
    static string? PreviousOf(string file, string current) =>
        File.Exists(AgentOptions.PreviousTokenFile(file))
        && new SecretFile(AgentOptions.PreviousTokenFile(file), PreviousForm).Read()?.Split(' ') is [var previous, var successor]
        && successor == HashOf(current) ? previous : null;

    public void Dispose() => _http.Dispose();

    async Task<bool> TryAsync(
        Func<string, string, CancellationToken, Task<bool>> work, string file, CancellationToken cancellation)
    {
        try
        {
            if (!IsLink(file))
                return await work(file, ReportSender.Token(options)!, cancellation).ConfigureAwait(false);
            log.NotRenewed($"{file} is a link. Whoever made it must put a new credential there: enrol the node again.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or HttpRequestException or JsonException)
        {
            log.NotRenewed(e.Message);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            log.NotRenewed("The server did not answer in time.");
        }

        return false;
    }

    async Task<bool> RenewAsync(string file, string current, CancellationToken cancellation)
    {
        var next = AgentOptions.NextTokenFile(file);
        var credential = new SecretFile(next, NextForm).ReadOrMake(
            () => AccessToken.New(AccessToken.OfSender), options.Time, log.NotRenewed);
        // The server hears of nothing that could not take its place here: the old one counts for a day at most from then on.
        WholeFile.Replace(file, Line(current));
        var (status, reason) = await AskAsync(current, credential, cancellation).ConfigureAwait(false);
        if (status is HttpStatusCode.Unauthorized or HttpStatusCode.Conflict or HttpStatusCode.BadRequest)
        {
            // The server may have it already, and the answer was lost.
            var (own, _) = await AskAsync(credential, credential, cancellation).ConfigureAwait(false);
            // It does not take it and does not have it.
            if (own is HttpStatusCode.Unauthorized && status is not HttpStatusCode.Unauthorized)
                File.Delete(next);
            status = own is HttpStatusCode.OK ? own : status;
        }

        if (status is not HttpStatusCode.OK)
        {
            log.NotRenewed(reason);
            return false;
        }

        if (!Exchange(file, current, credential))
            return false;
        File.Delete(next);
        log.CredentialRenewed(file);
        return true;
    }

    async Task<bool> GoBackAsync(string file, string current, CancellationToken cancellation)
    {
        if (PreviousOf(file, current) is not { } previous)
            return false;
        // Shown for itself, it is not renewed, and the answer says whether it counts.
        var (status, _) = await AskAsync(previous, previous, cancellation).ConfigureAwait(false);
        if (status is not HttpStatusCode.OK || !Exchange(file, current, previous))
            return false;
        log.WentBackToPreviousCredential(file);
        return true;
    }

    // The one that is given up is kept: the next restore may be of a state that knows it.
    bool Exchange(string file, string current, string other)
    {
        // The node was enrolled again while the server was asked: that credential stays.
        if (ReportSender.Token(options) != current)
            return false;
        WholeFile.Replace(AgentOptions.PreviousTokenFile(file), Line($"{current} {HashOf(other)}"));
        WholeFile.Replace(file, Line(other));
        return true;
    }

    static string HashOf(string credential) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(credential)));

    static byte[] Line(string text) => Encoding.ASCII.GetBytes(text + "\n");

    async Task<(HttpStatusCode Status, string Reason)> AskAsync(string shown, string credential, CancellationToken cancellation)
    {
        var address = new Uri($"{options.Server!.AbsoluteUri.TrimEnd('/')}/agent/v1/renew");
        using var patience = new CancellationTokenSource(Patience, options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, patience.Token);
        using var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Content = JsonContent.Create(new RenewRequest(credential), AgentProtocolJson.Default.RenewRequest),
        };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", shown);
        request.Headers.TryAddWithoutValidation("User-Agent", $"{AgentHeaders.Product}{AgentOptions.Version}");
        using var response = await _http.SendAsync(request, either.Token).ConfigureAwait(false);
        if (!response.IsSuccessStatusCode)
            return (response.StatusCode, await ReportSender.ReasonAsync(response, either.Token).ConfigureAwait(false));
        var answer = await response.Content.ReadFromJsonAsync(AgentProtocolJson.Default.RenewAnswer, either.Token).ConfigureAwait(false);
        return answer?.Node is { Length: > 0 } ? (HttpStatusCode.OK, "")
            : (HttpStatusCode.BadGateway, $"{address} did not say that it has renewed the credential.");
    }
}
