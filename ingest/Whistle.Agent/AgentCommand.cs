using System.CommandLine;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using System.Globalization;

using Whistle.Actions.Files;
using Whistle.Agent.Reporting;
using Whistle.Agent.Settings;

namespace Whistle.Agent;

/// <summary>
/// The command line. Exit codes, as those of <c>whistle</c>: 0 done or stopped, 1 a failure while running, 2 wrong usage or options.
/// </summary>
static class AgentCommand
{
    public const int Failed = 1;
    public const int Usage = 2;

    static readonly Option<string?> Server = Text("--server", "The server's address, like https://whistle.example.com.", null);
    static readonly Option<string?> TokenFile = Text("--token-file", "The file that contains the agent's token.", null);
    static readonly Option<string?> Instance = Text("--instance", "The label instance.", Environment.MachineName);
    static readonly Option<string?> Buffer = Text("--buffer", "The folder where unsent reports wait.", "/var/lib/whistle-agent/buffer");
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

            Example: whistle-agent run --server http://127.0.0.1:9480 --token-file node-7.token
            """)
        {
            Run(),
            Once(),
            ActionsCommand.Make(Policy, Buffer),
        };
        var parsed = root.Parse(args);
        var code = await parsed.InvokeAsync(
            new InvocationConfiguration { ProcessTerminationTimeout = null }, StopSignals.Take()).ConfigureAwait(false);
        return parsed.Action is ParseErrorAction ? Usage : code;
    }

    static Command Run()
    {
        var command = new Command(
            "run", "Reports until it is stopped. Example: whistle-agent run --server http://127.0.0.1:9480 --token-file node-7.token")
            { Server, TokenFile, Interval, Instance, Buffer, BufferSize, Policy, NoCommands, Insecure, Proc, Sys, Root };
        command.SetAction(async (parsed, cancellation) =>
        {
            var options = Options(parsed);
            if (parsed.GetValue(Server) is null)
                return Refuse(["The server is missing. Give its address with --server."]);
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
            var options = Options(parsed);
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

    static AgentOptions Options(ParseResult parsed) => new()
    {
        Server = Uri.TryCreate(parsed.GetValue(Server), UriKind.RelativeOrAbsolute, out var server) ? server : null,
        TokenFile = parsed.GetValue(TokenFile),
        Interval = parsed.GetValue(Interval),
        Instance = parsed.GetValue(Instance) ?? "",
        Insecure = parsed.GetValue(Insecure),
        CommandsEnabled = !parsed.GetValue(NoCommands),
        PolicyFile = parsed.GetValue(Policy),
        Buffer = new BufferOptions { Folder = parsed.GetValue(Buffer) ?? "", MaxBytes = parsed.GetValue(BufferSize) },
        ProcPath = parsed.GetValue(Proc)!,
        SysPath = parsed.GetValue(Sys)!,
        RootPath = parsed.GetValue(Root)!,
    };

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
