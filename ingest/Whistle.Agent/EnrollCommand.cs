using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Actions.Files;
using Whistle.Actions.Protocol;
using Whistle.Agent.Sending;
using Whistle.Agent.Settings;
using Whistle.Telemetry;

namespace Whistle.Agent;

/// <summary>
/// Enrols this node at a server: proves the server, makes a credential and trades the join token for its acceptance. Run again after
/// anything that went wrong on the way, it goes on with the same credential, so that the token is not used twice.
/// </summary>
static class EnrollCommand
{
    const int LargestAnswer = 16 << 10;

    static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    static readonly SecretForm JoinForm = SecretForm.Line("the join token", 256);

    static readonly SecretForm CredentialForm = SecretForm.Token("the agent's credential", AccessToken.OfSender);

    /// <param name="folder">Where the credential goes.</param>
    /// <param name="replace">What the folder is enrolled as now is given up.</param>
    public static async Task<int> RunAsync(
        AgentOptions options, string folder, string? joinToken, string? joinTokenFile, string node, bool replace,
        CancellationToken cancellation)
    {
        try
        {
            if ((joinToken ?? (joinTokenFile is null ? null : new SecretFile(joinTokenFile, JoinForm).Read())) is not { } token)
                return Refuse("The join token is missing. Make one with `whistle agents join-token`, and give it with --join-token.");
            if (!AccessToken.IsWhole(AccessToken.OfJoin, token))
                return Refuse($"This is no whole join token: one begins with {AccessToken.OfJoin} and has "
                    + $"{AccessToken.New(AccessToken.OfJoin).Length} characters. Make one with `whistle agents join-token`.");
            if (new PrivateFolder(folder, secrets: []).Prepare() is { } closed)
                await Console.Error.WriteLineAsync(closed).ConfigureAwait(false);
            var before = Enrolment.Read(folder);
            var isSame = before is not null && before.Server == options.Server && before.Node == node;
            // Without its credential, an enrolment was broken off and goes on.
            if (before is not null && !replace && !(isSame && !File.Exists(Enrolment.TokenFile(folder))))
            {
                return isSame ? await CheckAsync(options, before, folder, cancellation).ConfigureAwait(false)
                    : await RefuseAnotherAsync(before, folder).ConfigureAwait(false);
            }

            // One server must not know what another accepts.
            var joining = Path.Combine(folder, $"token.joining-{Short(options.Server!)}");
            var credential = new SecretFile(joining, CredentialForm).ReadOrMake(
                () => AccessToken.New(AccessToken.OfSender), options.Time, Console.Error.WriteLine);
            var (answer, reason, code) = await AskAsync(options, token, node, credential, cancellation).ConfigureAwait(false);
            if (answer is null)
            {
                await Console.Error.WriteLineAsync(reason).ConfigureAwait(false);
                return code;
            }

            // What was measured under another name, or for another server, is not this one's.
            if (before is not null && !isSame && Directory.Exists(options.Buffer.Folder))
                Directory.Delete(options.Buffer.Folder, recursive: true);
            // In this order: no server is ever shown what another accepts, and whatever ends this in between, the same command goes on.
            File.Delete(Enrolment.TokenFile(folder));
            File.Delete(AgentOptions.NextTokenFile(Enrolment.TokenFile(folder)));
            File.Delete(AgentOptions.PreviousTokenFile(Enrolment.TokenFile(folder)));
            new Enrolment(options.Server!, node, options.Trust.Fingerprint, Whole(options.Trust.AuthorityFile)).Write(folder);
            WholeFile.Replace(Enrolment.TokenFile(folder), Encoding.ASCII.GetBytes(credential + "\n"));
            foreach (var left in Directory.GetFiles(folder, "token.joining-*"))
                File.Delete(left);
            Console.WriteLine($"This node is {answer.Node} of cluster {answer.Cluster} of tenant {answer.Tenant} now. "
                + $"`whistle-agent run{FolderOption(folder)}` reports it.");
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync(e.Message).ConfigureAwait(false);
            return AgentCommand.Failed;
        }
    }

    // The server may have revoked it since: whoever runs this again wants a node that reports.
    static async Task<int> CheckAsync(AgentOptions options, Enrolment before, string folder, CancellationToken cancellation)
    {
        var file = Enrolment.TokenFile(folder);
        var trust = options.Trust is { AuthorityFile: null, Fingerprint: null }
            ? new ServerTrust { AuthorityFile = before.AuthorityFile, Fingerprint = before.Fingerprint } : options.Trust;
        using var renewal = new CredentialRenewal(options with { TokenFile = file, Trust = trust }, NullLogger.Instance);
        var (status, reason) = (default(HttpStatusCode), "");
        try
        {
            (status, reason) = await renewal.CheckAsync(file, cancellation).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            reason = ServerTrust.Words(before.Server, e);
        }
        catch (JsonException e)
        {
            reason = $"{before.Server} sent an answer that cannot be read: {e.Message}";
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            reason = $"{before.Server} did not answer in time.";
        }

        var enrolled = $"This node is enrolled as {before.Node} at {before.Server} already";
        if (status is HttpStatusCode.OK)
        {
            Console.WriteLine($"{enrolled}. --replace enrols it again.");
            return 0;
        }

        await Console.Error.WriteLineAsync(status switch
        {
            HttpStatusCode.Unauthorized => $"{enrolled}, but the server does not take its credential any more: {reason} Use: whistle-agent "
                + $"enroll --replace{FolderOption(folder)} with the other options as before, and a new join token.",
            HttpStatusCode.Forbidden => $"{enrolled}, but the server does not take its reports: {reason}",
            _ => $"{enrolled}, but whether its credential counts is not known: {reason}",
        }).ConfigureAwait(false);
        return status is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden ? AgentCommand.Failed : AgentCommand.Unreachable;
    }

    static async Task<int> RefuseAnotherAsync(Enrolment before, string folder)
    {
        await Console.Error.WriteLineAsync(
            $"{folder} is enrolled as {before.Node} at {before.Server}. Use another --folder, or give that up with --replace: then what "
            + "waits to be sent there is dropped, and that server misses the node until it is revoked there.").ConfigureAwait(false);
        return AgentCommand.Failed;
    }

    // As a shell takes it.
    static string FolderOption(string folder) => folder == AgentCommand.UsualFolder ? ""
        : folder.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_') ? $" --folder {folder}"
        : $" --folder '{folder.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    static async Task<(EnrolAnswer? Answer, string Reason, int Code)> AskAsync(
        AgentOptions options, string joinToken, string node, string credential, CancellationToken cancellation)
    {
        var address = new Uri($"{options.Server!.AbsoluteUri.TrimEnd('/')}/agent/v1/enrol");
        using var http = new HttpClient(options.Handler ?? ReportSender.DefaultHandler(options), disposeHandler: options.Handler is null);
        (http.Timeout, http.MaxResponseContentBufferSize) = (Patience, LargestAnswer);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, address)
            {
                Content = JsonContent.Create(new EnrolRequest(node, credential), AgentProtocolJson.Default.EnrolRequest),
            };
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", joinToken);
            request.Headers.TryAddWithoutValidation("User-Agent", $"whistle-agent/{AgentOptions.Version}");
            using var response = await http.SendAsync(request, cancellation).ConfigureAwait(false);
            if (response.StatusCode is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed)
            {
                return (null, $"{address} is not where agents enrol. Give the address of a Whistle server that is for agents.",
                    AgentCommand.Unreachable);
            }

            if ((int)response.StatusCode is >= 300 and < 400)
                return (null, $"{address} redirects, which is not followed. Give the address of the server itself.", AgentCommand.Failed);
            if (!response.IsSuccessStatusCode)
            {
                return (null, await ReportSender.ReasonAsync(response, cancellation).ConfigureAwait(false),
                    response.StatusCode is HttpStatusCode.BadRequest ? AgentCommand.Usage : AgentCommand.Failed);
            }

            var answer = await response.Content.ReadFromJsonAsync(AgentProtocolJson.Default.EnrolAnswer, cancellation)
                .ConfigureAwait(false);
            return answer is { } told && told.Node == node && IsName(told.Cluster) && IsName(told.Tenant)
                ? (told, "", 0)
                : (null, $"{address} did not say that it has enrolled {node}, so nothing is kept. Is it a Whistle server?",
                    AgentCommand.Failed);
        }
        catch (HttpRequestException e)
        {
            return (null, ServerTrust.Words(address, e),
                e.InnerException is AuthenticationException ? AgentCommand.Failed : AgentCommand.Unreachable);
        }
        catch (JsonException e)
        {
            return (null, $"{address} sent an answer that cannot be read: {e.Message} Is it a Whistle server?", AgentCommand.Failed);
        }
        catch (TaskCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return (null, $"{address} did not answer within {Patience.TotalSeconds} s. Run this again.", AgentCommand.Unreachable);
        }
    }

    static bool IsName(string? text) =>
        text is { Length: > 0 and <= 253 } && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-');

    static string Short(Uri server) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(server.GetLeftPart(UriPartial.Authority))))[..8];

    static string? Whole(string? path) => path is null ? null : Path.GetFullPath(path);

    static int Refuse(string reason)
    {
        Console.Error.WriteLine(reason);
        return AgentCommand.Usage;
    }
}
