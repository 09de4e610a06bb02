using System.Collections;
using System.CommandLine;
using System.Globalization;

using Whistle.Access;
using Whistle.Actions.Policy;
using Whistle.Alerting;
using Whistle.Alerting.Configuration;
using Whistle.Alerting.Deciding;
using Whistle.Configuration;
using Whistle.Data;

namespace Whistle.Commands;

static class ServeCommand
{
    static readonly WhistleOptions Defaults = new();

    public static readonly Option<string?> Config = new Option<string?>("--config")
    {
        Description = "File of settings, see docs/configuration.md. "
            + $"Without it, {ServeConfiguration.DefaultFileName} in the data folder where it exists.",
    }.NotEmpty();

    static readonly Option<string> Data = DataFolder.Option("Folder for telemetry and state.");
    static readonly Option<string[]> Listen = new Option<string[]>("--listen")
    {
        Description = $"Address to listen on, http on the loopback or https anywhere; {WhistleOptions.UsualAddress} by default. "
            + "May be given more than once.",
    }.NotEmpty();
    static readonly Option<string[]> Roles = new Option<string[]>("--roles")
    {
        Description = "What this process does, where others do the rest: gateway, detect, remediate, alert, web; all by default.",
    }.NotEmpty();
    static readonly Option<string[]> Rules = new Option<string[]>("--rules")
    {
        Description = "Folder or file of rules, instead of the shipped ones. May be given more than once.",
    }.NotEmpty();
    static readonly Option<string[]> Runbooks = new Option<string[]>("--runbooks")
    {
        Description = "Folder or file of runbooks, instead of the shipped ones. May be given more than once.",
    }.NotEmpty();
    static readonly Option<string> RetentionDays = Text("--retention-days", "Days to keep telemetry.", $"{Defaults.Retention.TotalDays}");
    static readonly Option<string> MaxSeries = Text("--max-series", "Series that one tenant may have.", $"{Defaults.MaxSeriesPerTenant}");
    static readonly Option<bool> NoAgent = new("--no-agent") { Description = "Do not watch this machine." };
    static readonly Option<string> Interval =
        Text("--interval", "Seconds between this machine's reports.", $"{Defaults.AgentInterval.TotalSeconds}");
    static readonly Option<string> Policy =
        Text("--policy-file", "What actions may change on this machine; only root may write it.", NodePolicy.DefaultFile).NotEmpty();

    static readonly Option<bool> AcceptState = new("--accept-state")
    {
        Description = "Start although the state is missing, older than it was, or another's. The kill switch is on then.",
    };

    public static Command Build()
    {
        var command = new Command("serve", "Runs the server, with this machine's agent.")
        { Config, Data, Listen, Roles, Rules, Runbooks, RetentionDays, MaxSeries, NoAgent, Interval, Policy, AcceptState };
        command.SetAction((arguments, cancellation) => RunAsync(
            ServeConfiguration.Load(arguments.GetValue(Config), Environment(), Given(arguments)), arguments.GetValue(AcceptState),
            cancellation));
        return command;
    }

    // Only what was written: a default must not count more than the file and the environment.
    static SettingsLayer Given(ParseResult arguments)
    {
        var layer = new SettingsLayer();
        Add(Data, nameof(WhistleOptions.DataFolder), text => text);
        Add(RetentionDays, nameof(WhistleOptions.Retention), text => InUnit(text, "d"));
        Add(MaxSeries, nameof(WhistleOptions.MaxSeriesPerTenant), text => text);
        Add(NoAgent, nameof(WhistleOptions.Agent), no => no ? "false" : "true");
        Add(Interval, nameof(WhistleOptions.AgentInterval), text => InUnit(text, "s"));
        Add(Policy, nameof(WhistleOptions.AgentPolicyFile), text => text);
        AddList(Listen, nameof(WhistleOptions.Listen));
        AddList(Roles, nameof(WhistleOptions.Roles));
        AddList(Rules, nameof(WhistleOptions.Rules));
        AddList(Runbooks, nameof(WhistleOptions.Runbooks));
        return layer;

        void Add<T>(Option<T> option, string key, Func<T, string> text)
        {
            if (arguments.GetResult(option) is { Implicit: false })
                layer[key] = new(text(arguments.GetValue(option)!), option.Name, System.Environment.CurrentDirectory);
        }

        void AddList(Option<string[]> option, string key)
        {
            foreach (var (i, item) in (arguments.GetValue(option) ?? []).Index())
                layer[$"{key}:{i}"] = new(item, option.Name, System.Environment.CurrentDirectory);
        }
    }

    static string InUnit(string text, string unit) => text.All(char.IsAsciiDigit) ? text + unit : text;

    public static Dictionary<string, string> Environment() => System.Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
        .ToDictionary(v => (string)v.Key, v => (string?)v.Value ?? "");

    static Option<string> Text(string name, string description, string usual) =>
        new(name) { Description = description, DefaultValueFactory = _ => usual };

    static async Task<int> RunAsync(ServeConfiguration configuration, bool acceptState, CancellationToken cancellation)
    {
        if (configuration.Errors.Count > 0)
        {
            foreach (var error in configuration.Errors)
                await Console.Error.WriteLineAsync(error);
            return ExitCode.Usage;
        }

        AppDomain.CurrentDomain.UnhandledException += End;
        try
        {
            await using var app = await WhistleApp.OpenAsync(configuration.Options with { AcceptState = acceptState }, cancellation);
            await app.StartAsync(cancellation);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""

                Whistle runs at {Addresses(app, configuration.Options)}
                {Login(app, configuration.Options.DataFolder)}
                Data is kept in {configuration.Options.DataFolder}
                {(configuration.File is { } file ? $"Settings are from {file}" : "No settings file")}
                {Paged(configuration.Options.Alerting)}{Proven(app, configuration.Options.DataFolder)}

                """));
            await app.WaitForShutdownAsync(cancellation);
            if (app.Failure is not { } failure)
                return 0;
            await Console.Error.WriteLineAsync(LastLine(failure));
            return ExitCode.Broken;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // Stopped before it was ready.
            return 0;
        }
        catch (StartException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync($"The server cannot start on {configuration.Options.DataFolder}: "
                + $"{e.Message} Is its disk full, or the folder another user's?");
            return 1;
        }
    }

    // By an exit code and a line, not by an abort with a dump: whoever supervises the process starts it again.
    static void End(object sender, UnhandledExceptionEventArgs e)
    {
        Console.Error.WriteLine(LastLine((Exception)e.ExceptionObject));
        System.Environment.Exit(ExitCode.Broken);
    }

    static string LastLine(Exception failure) =>
        $"Whistle stopped after an error it cannot recover from: {failure.GetType().Name}: {failure.Message.ReplaceLineEndings(" ")} "
        + "Acknowledged data is kept. Start it again, or use the systemd unit in docs/operations.md, which does.";

    static string Login(WhistleApp app, string folder) => PrivateOutput.IsOpen
        ? $"This output is a file that others can read. For a login link, run: {LoginLine.Of(app.Address, folder)}"
        : $"Log in once with {app.LoginLink()}";

    static string Addresses(WhistleApp app, WhistleOptions options)
    {
        var (all, agents) = (options.Listen.Count, options.ListenForAgents.Count);
        return string.Join(
            " and ", app.Addresses.Select((a, i) => i < all ? $"{a}" : i < all + agents ? $"{a} (for agents)" : $"{a} (for people)"));
    }

    // Where agents and people prove the server by something that only it can say.
    static string Proven(WhistleApp app, string folder) => app.AuthorityFingerprint is not { } fingerprint ? "" : $"""

        Its certificate is from its own authority. Agents and the command line prove it with
            --ca-fingerprint {fingerprint}
        Import {Path.Combine(folder, ServerFolder.AuthorityForOthers)} into a browser, or bring a certificate with Tls:CertificateFile
        """;

    static string Paged(AlertingOptions alerting) => alerting.HasChannel
        ? $"People are paged through {string.Join(" and ", alerting.Channels)}"
        : $"{NoChannel.Hint} {NoChannel.Help}";
}
