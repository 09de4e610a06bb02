using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;

using Whistle.Actions.Files;
using Whistle.Agent.Reporting;
using Whistle.Agent.Settings;

namespace Whistle.Agent;

/// <summary>
/// The command line. Exit codes, as those of <c>whistle</c>: 0 done or stopped, 1 a failure while running, 2 wrong usage or options,
/// 3 no server answers.
/// </summary>
static class AgentCommand
{
    public const int Failed = 1;
    public const int Usage = 2;
    public const int Unreachable = 3;

    /// <summary>Where an agent keeps what is its own, if nothing else is said.</summary>
    internal const string UsualFolder = "/var/lib/whistle-agent";

    static readonly Option<string?> Server = Text("--server", "The server's address, like https://whistle.example.com.", null);
    static readonly Option<string?> TokenFile = Text("--token-file", "The file that contains the agent's token.", null);
    static readonly Option<string?> Authority =
        Text("--ca", "A PEM file of the authority that proves the server, instead of this machine's.", null);
    static readonly Option<string?> Fingerprint =
        Text("--ca-fingerprint", "The SHA-256 fingerprint of the server's authority or certificate, as the server prints it.", null);
    static readonly Option<string?> Proxy =
        Text("--proxy", "The proxy on the way to the server; by default what HTTPS_PROXY and NO_PROXY say.", null);
    static readonly Option<string?> Instance = Text("--instance", "The label instance.", Environment.MachineName);
    static readonly Option<string?> Folder =
        Text("--folder", "The agent's own folder: its credential, and what waits to be sent.", UsualFolder);
    static readonly Option<string?> Buffer = Text("--buffer", "The folder where unsent reports wait; buffer in the agent's own.", null);
    static readonly Option<string?> JoinToken = Text("--join-token", "The token from `whistle agents join-token`.", null);
    static readonly Option<string?> JoinTokenFile = Text("--join-token-file", "A file that contains it.", null);
    static readonly Option<bool> Replace = new("--replace") { Description = "Gives up what the folder is enrolled as now." };
    static readonly Option<string?> Node = Text("--node", "The node's name in its cluster.", NodeName());
    static readonly Option<string?> Proc = Text("--path.procfs", "Where the host's procfs is.", "/proc");
    static readonly Option<string?> Sys = Text("--path.sysfs", "Where the host's sysfs is.", "/sys");
    static readonly Option<string?> Root = Text("--path.rootfs", "Where the host's root is.", "/");
    static readonly Option<TimeSpan> Interval = Parsed("--interval", "Time between reports, 1s to 15s.", Seconds, "15s");
    static readonly Option<long> BufferSize = Parsed("--buffer-size", "The most that may wait on disk, such as 512MB.", Size, "512MB");
    static readonly Option<string?> Policy =
        Text("--policy-file", "What actions may change on this node; only root may write it.", Actions.Policy.NodePolicy.DefaultFile);
    static readonly Option<bool> NoCommands = new("--no-commands") { Description = "Only report; run nothing for the server." };
    static readonly Option<bool> Insecure = new("--insecure") { Description = "Allow plain http to another machine." };

    public static async Task<int> RunAsync(string[] args)
    {
        var root = new RootCommand("""
            Reads this host and reports it to a Whistle server.
            Each option can come from the environment too: --token-file as WHISTLE_AGENT_TOKEN_FILE.

            Example: whistle-agent enroll --server https://whistle.example.com:9443 --ca-fingerprint SHA256 --join-token-file join.token
            """)
        {
            Enroll(),
            Run(),
            Once(),
            ActionsCommand.Make(Policy, Folder, Buffer),
        };
        var parsed = root.Parse(args);
        var code = await parsed.InvokeAsync(
            new InvocationConfiguration { ProcessTerminationTimeout = null }, StopSignals.Take()).ConfigureAwait(false);
        return parsed.Action is ParseErrorAction ? Usage : code;
    }

    static Command Enroll()
    {
        var command = new Command(
            "enroll",
            "Enrols this node at a server, with a join token. "
            + "Example: whistle-agent enroll --server https://whistle.example.com:9443 --join-token-file join.token")
            { Server, Authority, Fingerprint, Proxy, JoinToken, JoinTokenFile, Node, Replace, Folder, Insecure };
        command.SetAction(async (parsed, cancellation) =>
        {
            var folder = parsed.GetValue(Folder)!;
            // What it has enrolled with before does not matter here.
            var options = new AgentOptions
            {
                Server = AddressOf(parsed.GetValue(Server)),
                Trust = TrustOf(parsed, null),
                Proxy = AddressOf(parsed.GetValue(Proxy)),
                Insecure = parsed.GetValue(Insecure),
                TokenFile = Enrolment.TokenFile(folder),
                Buffer = new BufferOptions { Folder = Path.Combine(folder, "buffer") },
            };
            if (parsed.GetValue(Server) is null)
                return Refuse(["The server is missing. Give its address with --server."]);
            if (options.Errors() is { Count: > 0 } errors)
                return Refuse(errors);
            return await EnrollCommand.RunAsync(
                options, folder, parsed.GetValue(JoinToken), parsed.GetValue(JoinTokenFile), parsed.GetValue(Node)!,
                parsed.GetValue(Replace), cancellation).ConfigureAwait(false);
        });
        return command;
    }

    static Command Run()
    {
        var command = new Command(
            "run", "Reports until it is stopped. Example: whistle-agent run --server http://127.0.0.1:9480 --token-file node-7.token")
            { Server, TokenFile, Authority, Fingerprint, Proxy, Folder, Interval, Instance, Buffer, BufferSize, Policy, NoCommands,
                Insecure, Proc, Sys, Root };
        command.SetAction(async (parsed, cancellation) =>
        {
            AgentOptions options;
            try
            {
                // Only where it is needed: an agent of another user's may not even look there.
                var isGiven = parsed.GetValue(Server) is not null && parsed.GetValue(TokenFile) is not null;
                options = Options(parsed, isGiven ? null : Enrolment.Read(parsed.GetValue(Folder)!));
            }
            catch (SecretException e)
            {
                return Refuse([e.Message]);
            }

            if (options.Server is null)
                return Refuse(["The server is missing. Name it with --server, or enrol this node with `whistle-agent enroll`."]);
            if (options.Errors() is { Count: > 0 } errors)
                return Refuse(errors);
            return await RunAsync(options, cancellation).ConfigureAwait(false);
        });
        return command;
    }

    static Command Once()
    {
        var command = new Command(
            "once", "Prints one report in Prometheus's text format. Example: whistle-agent once | grep node_filesystem") { Interval,
            Instance, Proc, Sys, Root };
        command.SetAction(parsed =>
        {
            var options = Options(parsed, null);
            var report = new HostReport(HostSources.Of(options), options.Instance, options.Time, new StderrLogger());
            var time = options.Time.GetUtcNow().ToUnixTimeMilliseconds();
            TextFormat.Write(report.Collect(time, series => AgentReport.WriteIdentity(series, options)), Console.Out);
            return 0;
        });
        return command;
    }

    static async Task<int> RunAsync(AgentOptions options, CancellationToken cancellation)
    {
        try
        {
            var log = new StderrLogger();
            CloseFolders(options, log);
            using var agent = new WhistleAgent(options, log);
            await agent.RunAsync(cancellation).ConfigureAwait(false);
            return 0;
        }
        catch (Exception e) when (e is InvalidOperationException or UntrustedFolderException)
        {
            await Console.Error.WriteLineAsync(e.Message).ConfigureAwait(false);
            return Failed;
        }
    }

    // What waits in the buffer is sent and obeyed as this node's own.
    static void CloseFolders(AgentOptions options, StderrLogger log)
    {
        try
        {
            if (new PrivateFolder(options.Buffer.Folder, secrets: []).Prepare() is { } closed)
                log.FilesClosed(closed);
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException and not UntrustedFolderException)
        {
            // A disk that takes nothing keeps no agent from reporting: then reports wait in memory.
            log.BufferNotClosed(options.Buffer.Folder, e.Message);
        }

        if (options.TokenFile is { } token && SecretFile.Close(token) is { } mode)
            log.FilesClosed(
                $"Closed to other users, who could read it: {token} ({mode}). Enrol this node again if one of them could misuse it.");
    }

    // What is given counts more than what the node was enrolled with.
    static AgentOptions Options(ParseResult parsed, Enrolment? enrolment) => new()
    {
        Server = AddressOf(parsed.GetValue(Server)) ?? enrolment?.Server,
        TokenFile = parsed.GetValue(TokenFile) ?? (enrolment is null ? null : Enrolment.TokenFile(parsed.GetValue(Folder)!)),
        Trust = TrustOf(parsed, enrolment),
        Proxy = AddressOf(parsed.GetValue(Proxy)),
        Interval = parsed.GetValue(Interval),
        Instance = parsed.GetValue(Instance) ?? "",
        Insecure = parsed.GetValue(Insecure),
        CommandsEnabled = !parsed.GetValue(NoCommands),
        PolicyFile = parsed.GetValue(Policy),
        Buffer = new BufferOptions
        {
            Folder = parsed.GetValue(Buffer) ?? Path.Combine(parsed.GetValue(Folder) ?? "", "buffer"),
            MaxBytes = parsed.GetValue(BufferSize),
        },
        ProcPath = parsed.GetValue(Proc)!,
        SysPath = parsed.GetValue(Sys)!,
        RootPath = parsed.GetValue(Root)!,
    };

    static Uri? AddressOf(string? text) => Uri.TryCreate(text, UriKind.RelativeOrAbsolute, out var address) ? address : null;

    // What a server was enrolled with proves no other.
    static ServerTrust TrustOf(ParseResult parsed, Enrolment? enrolment)
    {
        var (file, fingerprint) = (parsed.GetValue(Authority), parsed.GetValue(Fingerprint));
        return (file ?? fingerprint) is null && enrolment is not null && parsed.GetValue(Server) is null
            ? new() { AuthorityFile = enrolment.AuthorityFile, Fingerprint = enrolment.Fingerprint }
            : new() { AuthorityFile = file, Fingerprint = fingerprint };
    }

    /// <summary>This machine's name in the form that nodes have.</summary>
    internal static string NodeName() => string.Concat(Environment.MachineName.ToLowerInvariant()
        .Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '-')).Trim('-', '.');

    static int Refuse(IEnumerable<string> errors)
    {
        foreach (var error in errors)
            Console.Error.WriteLine(error);
        return Usage;
    }

    static Option<string?> Text(string name, string description, string? fallback) =>
        new(name) { Description = description, DefaultValueFactory = _ => FromEnvironment(name) ?? fallback };

    static Option<T> Parsed<T>(string name, string description, Func<string, T?> parse, string fallback)
        where T : struct => new(name)
        {
            Description = description,
            CustomParser = result => Parse(result, parse, result.Tokens[0].Value),
            DefaultValueFactory = result => Parse(result, parse, FromEnvironment(name) ?? fallback),
        };

    static T Parse<T>(ArgumentResult result, Func<string, T?> parse, string text)
        where T : struct
    {
        if (parse(text) is { } value)
            return value;
        result.AddError($"\"{text}\" is not valid here. Write a number with its unit, like 15s for a time or 512MB for a size.");
        return default;
    }

    static string? FromEnvironment(string option)
    {
        var name = "WHISTLE_AGENT_" + option.TrimStart('-').Replace('-', '_').Replace('.', '_').ToUpperInvariant();
        return Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null;
    }

    internal static TimeSpan? Seconds(string text) =>
        text.EndsWith('s') && double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds)
            && seconds < 86400
            ? TimeSpan.FromSeconds(seconds)
            : null;

    internal static long? Size(string text)
    {
        foreach (var (unit, bytes) in new[] { ("KB", 1L << 10), ("MB", 1L << 20), ("GB", 1L << 30) })
        {
            if (text.EndsWith(unit, StringComparison.Ordinal)
                && long.TryParse(text.AsSpan()[..^2], NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= 1 << 20)
                return count * bytes;
        }

        return null;
    }
}
