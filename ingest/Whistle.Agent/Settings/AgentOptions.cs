using Whistle.Actions.Files;
using Whistle.Telemetry;

namespace Whistle.Agent.Settings;

/// <summary>Where reports wait, and how much may.</summary>
public sealed record BufferOptions
{
    /// <summary>One agent's own folder; it is made where it does not exist.</summary>
    public required string Folder { get; init; }

    public long MaxBytes { get; init; } = 512L << 20;

    public TimeSpan MaxAge { get; init; } = TimeSpan.FromHours(24);

    /// <summary>What may wait in memory while the disk takes nothing.</summary>
    public long MaxMemoryBytes { get; init; } = 8L << 20;
}

/// <summary>Everything that an agent needs, from the command line or from the server that hosts it.</summary>
public sealed record AgentOptions
{
    public static readonly TimeSpan ShortestInterval = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan LongestInterval = TimeSpan.FromSeconds(15);

    public static readonly string Version = typeof(AgentOptions).Assembly.GetName().Version?.ToString(3) ?? "0.0.0";

    /// <summary>Put on the node by whoever enrolled it.</summary>
    internal static readonly SecretForm TokenForm = SecretForm.Token("the agent's token", AccessToken.OfSender) with { IsPlaced = true };

    /// <summary>The server's base address; reports go to <c>api/v1/write</c> under it. Null where nothing is sent.</summary>
    public Uri? Server { get; init; }

    /// <summary>The token itself; <see cref="TokenFile"/> takes its place where both are given.</summary>
    public string? Token { get; init; }

    /// <summary>Contains the token and nothing else; read again for each request, so that a corrected token works at once.</summary>
    public string? TokenFile { get; init; }

    /// <summary>What proves the server beside the authorities of this machine.</summary>
    public ServerTrust Trust { get; init; } = new();

    /// <summary>The proxy on the way to the server; where there is none, HTTPS_PROXY and NO_PROXY of the environment count.</summary>
    public Uri? Proxy { get; init; }

    /// <summary>Allows plain http to another machine, which shows the token to the network.</summary>
    public bool Insecure { get; init; }

    public TimeSpan Interval { get; init; } = LongestInterval;

    public required BufferOptions Buffer { get; init; }

    public string ProcPath { get; init; } = "/proc";

    public string SysPath { get; init; } = "/sys";

    public string RootPath { get; init; } = "/";

    /// <summary>The label <c>instance</c>.</summary>
    public string Instance { get; init; } = Environment.MachineName;

    /// <summary>Whether the server may have actions run here. What they may change is up to <see cref="PolicyFile"/>.</summary>
    public bool CommandsEnabled { get; init; } = true;

    /// <summary>What actions may change on this node; null allows no change. See <see cref="Actions.Policy.NodePolicy"/>.</summary>
    public string? PolicyFile { get; init; } = Actions.Policy.NodePolicy.DefaultFile;

    /// <summary>Folders that no action may clean, such as those of a server that hosts the agent.</summary>
    public IReadOnlyList<string> ProtectedFolders { get; init; } = [];

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Where the next credential lies while the server may not have it yet.</summary>
    public static string NextTokenFile(string tokenFile) => $"{tokenFile}.next";

    /// <summary>Where the credential lies that was renewed last.</summary>
    public static string PreviousTokenFile(string tokenFile) => $"{tokenFile}.previous";

    /// <summary>Those, and what the agent itself lives on.</summary>
    internal IReadOnlyList<string> Protected =>
    [
        .. ProtectedFolders.Append(Buffer.Folder)
            .Concat(TokenFile is { } token ? [token, NextTokenFile(token), PreviousTokenFile(token)] : [])
            .Concat(PolicyFile is { } policy ? [policy] : []).Select(Path.GetFullPath),
    ];

    /// <summary>Takes the place of the network; not disposed with the agent.</summary>
    public HttpMessageHandler? Handler { get; init; }

    /// <summary>Between two tries to reach the server.</summary>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>For the jitter of waits. The process id differs from agent to agent, which is all that is asked of it.</summary>
    public int Seed { get; init; } = Environment.ProcessId;

    /// <summary>Called with how far a command has got, and its id; a test ends the process there.</summary>
    internal Action<RunnerStep, string>? At { get; init; }

    /// <summary>Everything that is wrong, each with how to fix it; empty if the options are valid.</summary>
    public IReadOnlyList<string> Errors()
    {
        var errors = new List<string>();
        if (Interval < ShortestInterval || Interval > LongestInterval)
            errors.Add($"The interval {Interval.TotalSeconds} s is not between 1 s and 15 s. Use --interval 1s to 15s.");
        if (Buffer.Folder.Length == 0)
            errors.Add("The buffer's folder is empty. Name one with --buffer.");
        if (Buffer.MaxBytes < 64 << 10)
            errors.Add($"The buffer's size of {Buffer.MaxBytes} bytes is below 64 KiB. Give it more with --buffer-size.");
        if (Instance.Length == 0)
            errors.Add("The instance is empty. Give the host's name with --instance.");
        errors.AddRange(ServerErrors());
        return errors;
    }

    IEnumerable<string> ServerErrors()
    {
        if (Server is null)
            yield break;
        if (!Server.IsAbsoluteUri || Server.Scheme is not ("http" or "https"))
            yield return $"The server's address {Server} is not an http or https address. Write it like https://whistle.example.com.";
        else if (Server.Scheme == "http" && !Server.IsLoopback && !Insecure)
            yield return $"Plain http to {Server.Host} would show the token to the network. Use https, or allow it with --insecure.";
        if (Proxy is not null && (!Proxy.IsAbsoluteUri || Proxy.Scheme is not ("http" or "https")))
            yield return $"The proxy {Proxy} is not an http or https address. Write it like http://proxy.example.com:3128.";
        foreach (var error in Trust.Errors(Server))
            yield return error;
        if (Token is null && TokenFile is null)
            yield return "The token is missing. Name the file that contains it with --token-file.";
    }
}
