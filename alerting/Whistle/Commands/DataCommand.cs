using System.CommandLine;

using Whistle.Actions.Files;
using Whistle.Data;
using Whistle.Ingest.Stores;
using Whistle.Printing;
using Whistle.State;
using Whistle.State.Files;

namespace Whistle.Commands;

/// <summary>Looks at the data folder of a server that does not run.</summary>
static class DataCommand
{
    const int Damaged = 1;
    const int NoFolder = 2;
    const int InUse = 3;
    const int Failed = 4;

    // What a server has open or exchanges at any moment.
    const string ServersOwn = "state.sqlite, telemetry/format, telemetry/sealed, telemetry/hot.duckdb";

    static readonly Option<string> Data = DataFolder.Option("The server's data folder.");

    public static Command Build()
    {
        var check = new Command("check", "Reads all telemetry and state of a stopped server, and tells what is damaged. "
            + "Changes nothing but its lock file, server.lock. "
            + "Ends with 0 where nothing is, 1 where something is damaged, 2 where there is no data folder to look at, "
            + "3 where another process uses it, 4 where not all of it could be looked at.")
        { Data };
        check.SetAction((arguments, cancellation) => CheckAsync(arguments.GetValue(Data)!, cancellation));
        var repair = new Command("repair", "Does for the telemetry what the next start would, and says each thing that it does: sets "
            + "damaged files aside, saves what can be read, writes lost manifests again. A damaged state stays as it is: restore a backup. "
            + "Ends as check does.")
        { Data };
        repair.SetAction((arguments, cancellation) => RepairAsync(arguments.GetValue(Data)!, cancellation));
        return new Command("data", "Checks and repairs the data folder of a stopped server.") { check, repair };
    }

    static Task<int> CheckAsync(string folder, CancellationToken cancellation) =>
        LockedAsync(folder, "whistle data check", async () => Report(folder, await LookAsync(folder, cancellation)), other =>
        {
            foreach (var entry in StoreInspection.LookAside(Path.Combine(folder, ServerFolder.Telemetry), TimeProvider.System))
                Print(entry);
            var advice = other.IsServer
                ? "Ask the server with `whistle health`, or stop it and check again."
                : "Check again when that has ended.";
            return Print($"{folder} is in use by {other.By}, so these parts were not looked at: {ServersOwn}. {advice}", InUse);
        });

    static Task<int> RepairAsync(string folder, CancellationToken cancellation) => LockedAsync(folder, "whistle data repair", async () =>
    {
        var telemetry = Path.Combine(folder, ServerFolder.Telemetry);
        if (!Directory.Exists(telemetry))
            return Print(
                $"There is no telemetry in {folder}, and only that can be repaired. Name the server's data folder with --data.", NoFolder);
        try
        {
            var done = new RepairLog();
            using var store = new DuckDbStore(new StoreOptions(telemetry, TimeSpan.MaxValue), TimeProvider.System, logger: done);
            var hours = store.ProveAll();
            if (done.Count == 0)
                Console.WriteLine("Nothing had to be repaired.");
            Console.WriteLine(hours == 1 ? "1 sealed hour holds what was written." : $"{hours} sealed hours hold what was written.");
        }
        catch (StoreException e)
        {
            return Print(e.Message, Damaged);
        }

        return Report(folder, await LookAsync(folder, cancellation));
    }, other => Print(
        $"{folder} is in use by {other.By}, so nothing was repaired. "
        + $"{(other.IsServer ? "Stop the server first." : "Try again when that has ended.")}",
        InUse));

    // The lock is held to the end, so that no server starts before it.
    static async Task<int> LockedAsync(string folder, string by, Func<Task<int>> work, Func<FolderInUseException, int> whenInUse)
    {
        try
        {
            if (Refusal(folder) is { } refusal)
                return Print(refusal, NoFolder);
            using var held = ServerLock.Take(folder, by);
            return await work();
        }
        catch (FolderInUseException e)
        {
            return whenInUse(e);
        }
        catch (UntrustedFolderException e)
        {
            return Print($"The data folder {folder} is not its user's alone: {e.Message}", Failed);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Print($"Not all of {folder} could be looked at: {e.Message}", Failed);
        }
    }

    static string? Refusal(string folder)
    {
        if (!Directory.Exists(folder))
            return $"{folder} is not a folder that this user can see. Name the server's data folder with --data.";
        if (ServerFolder.IsBackup(folder))
            return $"{folder} is a backup. Check it with `whistle backup verify {folder}`.";
        // One that may not be read would seem to have nothing in it.
        _ = Directory.EnumerateFileSystemEntries(folder).Any();
        return ServerFolder.IsServers(folder) ? null : $"{folder} is not a data folder of a server: it has neither a state nor telemetry. "
            + "Name the server's data folder with --data.";
    }

    static async Task<IEnumerable<DataFinding>> LookAsync(string folder, CancellationToken cancellation) =>
    [
        await LookAtStateAsync(folder, cancellation),
        .. StoreInspection.Look(Path.Combine(folder, ServerFolder.Telemetry), TimeProvider.System),
    ];

    static async Task<DataFinding> LookAtStateAsync(string folder, CancellationToken cancellation)
    {
        var file = Path.Combine(folder, ServerFolder.State);
        if (File.Exists(Path.Combine(folder, ServerFolder.StateMoved)))
            return new("state", false, $"It was copied to PostgreSQL, and is not looked at here. {ServerFolder.State} is out of date.");
        return !Path.Exists(file) && File.Exists(Path.Combine(folder, ServerFolder.Owner))
            ? new("state", false, "It is in PostgreSQL, and is not looked at here.")
            : await StateDatabase.LookAsync(file, StateStages.HasHistory(folder), StateStages.All, cancellation);
    }

    static int Report(string folder, IEnumerable<DataFinding> findings)
    {
        var (state, telemetry, aside) = (0, 0, 0);
        foreach (var finding in findings)
        {
            Print(finding);
            aside += finding.IsAside ? 1 : 0;
            if (finding.IsDamage && finding.Part == ServerFolder.State)
                state++;
            else if (finding.IsDamage)
                telemetry++;
        }

        if (aside > 0)
            Console.WriteLine($"{(aside == 1 ? "1 entry was" : $"{aside} entries were")} set aside earlier, and counts as no damage. "
                + "Restore what you need of it from a backup (docs/operations.md, A damaged file); "
                + $"then delete its folder below {Path.Combine(folder, ServerFolder.Telemetry)} with rm -r.");
        // Not on stderr: redirected together, the summary would come before the findings.
        Console.WriteLine(Summary(state, telemetry, folder));
        return state + telemetry == 0 ? 0 : Damaged;
    }

    static string Summary(int state, int telemetry, string folder) => state + telemetry == 0 ? "Nothing is damaged."
        : (state + telemetry == 1 ? "1 part is damaged." : $"{state + telemetry} parts are damaged.")
            + (state > 0 ? " The state: do what is said of it above; no command repairs it." : "")
            + (telemetry > 0
                ? $" The telemetry: use `whistle data repair --data {folder}`, or start the server, which does the same." : "");

    static void Print(DataFinding finding) =>
        Console.WriteLine($"{(finding.IsDamage ? "DAMAGED" : finding.IsAside ? "aside  " : "ok     ")}  "
            + $"{Printable.Of(finding.Part)}: {Printable.Of(finding.Text)}");

    static int Print(string text, int exitCode)
    {
        (exitCode == 0 ? Console.Out : Console.Error).WriteLine(text);
        return exitCode;
    }

    /// <summary>Prints each thing that the store does to the folder.</summary>
    sealed class RepairLog : ILogger<DuckDbStore>
    {
        public int Count { get; private set; }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
                return;
            Count++;
            Console.WriteLine($"- {Printable.Of(formatter(state, exception))}");
        }
    }
}
