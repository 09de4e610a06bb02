using System.CommandLine;

using Whistle.Ingest;

namespace Whistle.Commands;

/// <summary>Looks at the data folder of a server that does not run.</summary>
static class DataCommand
{
    static readonly Option<string> Data = DataFolder.Option("The server's data folder.");

    public static Command Build()
    {
        var check = new Command("check", "Reads all telemetry and state of a stopped server, and reports what is damaged. Changes nothing.") { Data };
        check.SetAction(arguments => Report(Look(arguments.GetValue(Data)!)));
        var repair = new Command("repair", "Does for the telemetry what the next start would: sets damaged files aside, saves what can be read, writes lost manifests again. Deletes nothing. A damaged state stays as it is: restore a backup.") { Data };
        repair.SetAction(arguments => Repair(arguments.GetValue(Data)!));
        return new Command("data", "Checks and repairs the data folder of a stopped server.") { check, repair };
    }

    static IEnumerable<DataFinding> Look(string folder) =>
    [
        StateDatabase.Look(Path.Combine(folder, WhistleApp.StateFileName), StateStages.HasHistory(folder)),
        .. StoreInspection.Look(Path.Combine(folder, "telemetry"), TimeProvider.System),
    ];

    static int Repair(string folder)
    {
        try
        {
            var telemetry = Path.Combine(folder, "telemetry");
            if (!Directory.Exists(telemetry))
                return Say($"There is no telemetry in {folder}. Name the server's data folder with --data.", 1);
            using (var store = new DuckDbStore(new StoreOptions(telemetry, TimeSpan.MaxValue), TimeProvider.System))
                Console.WriteLine($"{store.ProveAll()} sealed hours are intact.");
        }
        catch (StoreException e)
        {
            return Say(e.Message, 1);
        }

        return Report(Look(folder));
    }

    static int Report(IEnumerable<DataFinding> findings)
    {
        var damaged = 0;
        foreach (var finding in findings)
        {
            damaged += finding.IsDamage ? 1 : 0;
            Console.WriteLine($"{(finding.IsDamage ? "DAMAGED" : "ok     ")}  {ConsoleTable.Printable(finding.Part)}: {ConsoleTable.Printable(finding.Text)}");
        }

        return damaged == 0 ? Say("Nothing is damaged.", 0) : Say($"{damaged} findings. docs/operations.md says what to do about each.", 1);
    }

    static int Say(string text, int exitCode)
    {
        (exitCode == 0 ? Console.Out : Console.Error).WriteLine(text);
        return exitCode;
    }
}
