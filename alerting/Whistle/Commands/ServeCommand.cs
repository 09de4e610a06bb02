using System.CommandLine;
using System.Globalization;

namespace Whistle.Commands;

static class ServeCommand
{
    static readonly WhistleOptions Defaults = new();

    static readonly Option<string> Data = DataFolder.Option("Folder for telemetry and state.");
    static readonly Option<Uri> Listen = Address.Option("--listen", "Address to listen on.", "WHISTLE_LISTEN");
    static readonly Option<string[]> Rules = new("--rules") { Description = "Folder or file of rules, instead of the shipped ones. May be given more than once." };
    static readonly Option<string[]> Runbooks = new("--runbooks") { Description = "Folder or file of runbooks, instead of the shipped ones. May be given more than once." };
    static readonly Option<int> RetentionDays = new("--retention-days") { Description = "Days to keep telemetry.", DefaultValueFactory = _ => (int)Defaults.Retention.TotalDays };
    static readonly Option<int> MaxSeries = new("--max-series") { Description = "Series that one tenant may have.", DefaultValueFactory = _ => Defaults.MaxSeriesPerTenant };
    static readonly Option<bool> NoAgent = new("--no-agent") { Description = "Do not watch this machine." };
    static readonly Option<int> Interval = new("--interval") { Description = "Seconds between this machine's reports.", DefaultValueFactory = _ => (int)Defaults.AgentInterval.TotalSeconds };

    public static Command Build()
    {
        var command = new Command("serve", "Runs the server, with this machine's agent.") { Data, Listen, Rules, Runbooks, RetentionDays, MaxSeries, NoAgent, Interval };
        command.SetAction((arguments, cancellation) => RunAsync(Options(arguments), cancellation));
        return command;
    }

    static WhistleOptions Options(ParseResult arguments) => Defaults with
    {
        DataFolder = Path.GetFullPath(arguments.GetValue(Data)!),
        Listen = arguments.GetValue(Listen)!,
        Rules = arguments.GetValue(Rules) is { Length: > 0 } rules ? rules : Defaults.Rules,
        Runbooks = arguments.GetValue(Runbooks) is { Length: > 0 } runbooks ? runbooks : Defaults.Runbooks,
        Retention = TimeSpan.FromDays(arguments.GetValue(RetentionDays)),
        MaxSeriesPerTenant = arguments.GetValue(MaxSeries),
        Agent = !arguments.GetValue(NoAgent),
        AgentInterval = TimeSpan.FromSeconds(arguments.GetValue(Interval)),
    };

    static async Task<int> RunAsync(WhistleOptions options, CancellationToken cancellation)
    {
        if (options.Errors() is { Count: > 0 } errors)
        {
            foreach (var error in errors)
                await Console.Error.WriteLineAsync(error);
            return 2;
        }

        try
        {
            await using var app = new WhistleApp(options);
            await app.StartAsync(cancellation);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""

                Whistle runs at {app.Address}
                Log in once with {app.LoginLink()}
                Data are kept in {options.DataFolder}

                """));
            await app.WaitForShutdownAsync(cancellation);
            return 0;
        }
        catch (StartException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
    }
}
