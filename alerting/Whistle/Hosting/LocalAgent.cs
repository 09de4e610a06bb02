using Whistle.Actions.Files;
using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Data;
using Whistle.Inventory;
using Whistle.State.Health;
using Whistle.Tls;

namespace Whistle.Hosting;

/// <summary>The agent of the server's own machine. It reports as any other does: a credential, the gateway, a buffer on disk.</summary>
sealed class LocalAgent(
    WhistleOptions options, Credentials credentials, IServiceProvider services, HealthBoard health, ILogger<LocalAgent> logger,
    ILogger<WhistleAgent> agentLogger)
{
    const string Component = "agent";

    readonly string _folder = Path.Combine(options.DataFolder, "agent");
    readonly string _tokenFile = Path.Combine(options.DataFolder, ServerFolder.AgentToken);

    /// <summary>Runs until it is cancelled. The server has others to serve, so a failure is reported and ends no more than this.</summary>
    public async Task RunAsync(Uri server, CancellationToken cancellation)
    {
        try
        {
            Directory.CreateDirectory(_folder);
            await EnrolAsync(new SecretFile(_tokenFile, ServerFolder.AgentTokenForm), cancellation);
            using var agent = new WhistleAgent(Options(server), agentLogger);
            await agent.RunAsync(cancellation);
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            logger.AgentFailed(e.Message);
            health.Report(
                Component, "", HealthState.Degraded, $"This machine is not watched: {e.Message} Restart the server once that is right.");
        }
    }

    AgentOptions Options(Uri server) => new()
    {
        Server = server,
        TokenFile = _tokenFile,
        Trust = Trust(server),
        Interval = options.AgentInterval,
        PolicyFile = options.AgentPolicyFile,
        ProtectedFolders = [options.DataFolder],
        Time = options.Time,
        Buffer = new BufferOptions { Folder = Path.Combine(_folder, "buffer") },
    };

    // It knows the certificate itself, whatever name that is for.
    ServerTrust Trust(Uri server) => server.Scheme != Uri.UriSchemeHttps ? new() : new()
    {
        IsOwn = shown => shown.RawDataMemory.Span.SequenceEqual(
            services.GetRequiredService<CertificateSource>().Current.Leaf.RawDataMemory.Span),
    };

    async Task EnrolAsync(SecretFile file, CancellationToken cancellation)
    {
        var token = await TokenAsync(file, cancellation);
        // A revoked token stays as it is; one that the state never had is of a state that was lost.
        if (await credentials.HasAsync(token, cancellation))
            return;
        Report(
            $"The state does not know the token of this machine's agent. It is set aside as {file.SetAside(options.Time)}, "
            + "and the agent is enrolled again.");
        await TokenAsync(file, cancellation);
    }

    // It is known before it is written: one that nobody has costs less than a file with one that the state never had.
    async Task<string> TokenAsync(SecretFile file, CancellationToken cancellation)
    {
        var made = file.Fault() is null
            ? null : await credentials.EnrollAsync(new("default", "local"), AgentCommand.NodeName(), cancellation);
        return file.ReadOrMake(
            () => made ?? throw new IOException("The agent's token changed while it was read. Start the server again."),
            options.Time, Report);
    }

    void Report(string what) => SetAside.Report("agent-token", what, health, logger);
}
