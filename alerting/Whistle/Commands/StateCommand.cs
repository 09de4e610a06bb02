using System.CommandLine;
using System.Globalization;

using Whistle.Actions.Files;
using Whistle.Alerting.Configuration;
using Whistle.Configuration;
using Whistle.Data;
using Whistle.State;
using Whistle.State.Copies;
using Whistle.State.Files;

namespace Whistle.Commands;

/// <summary>Takes the state of a stopped server elsewhere.</summary>
static class StateCommand
{
    static readonly Option<string> Data = DataFolder.Option("The server's data folder.");

    static readonly Option<string> From = new Option<string>("--from") { Description = "Where the state is.", Required = true }
        .AcceptOnlyFromAmong("sqlite");

    static readonly Option<string> To = new Option<string>("--to") { Description = "Where it goes.", Required = true }
        .AcceptOnlyFromAmong("postgres");

    static readonly Option<string?> Database = new Option<string?>("--database-file")
    {
        Description = "A file with the connection string of the PostgreSQL database, which must be empty. "
            + "Without it, Database or DatabaseFile of the settings.",
    }.NotEmpty();

    public static Command Build()
    {
        var copy = new Command("copy", "Copies all of the state to an empty PostgreSQL database, compares the two row by row, and marks "
            + "the folder so that no server starts on the old state. One that was interrupted goes on when it is run again.")
        { From, To, Data, ServeCommand.Config, Database };
        copy.SetAction(RunAsync);
        return new Command("state", "Moves the state of a stopped server.") { copy };
    }

    static async Task<int> RunAsync(ParseResult arguments, CancellationToken cancellation)
    {
        var folder = arguments.GetValue(Data)!;
        try
        {
            if (ServerFolder.IsBackup(folder))
                throw new StartException($"{folder} is a backup. Restore it first, and name the folder that it was restored to.");
            if (new FileInfo(Path.Combine(folder, ServerFolder.State)) is not { Exists: true, Length: > 0 })
                throw new StartException(
                    $"There is no {ServerFolder.State} in {folder}, so nothing was copied. Name the server's data folder with --data.");
            // Held to the end, so that no server starts before it.
            using var held = ServerLock.Take(folder, "whistle state copy");
            var copied = await ProgressBars.RunAsync(
                report => Task.Run(() => CopyAsync(arguments, folder, report, cancellation), CancellationToken.None));
            Tell(copied, folder);
            return ExitCode.Fine;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Stopped. Run the same command again, and it goes on from there.");
        }
        catch (Exception e) when (e is StateException or StartException or FolderInUseException or UntrustedFolderException or IOException
            or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync(e.Message);
        }

        return ExitCode.Failed;
    }

    static async Task<CopiedState> CopyAsync(
        ParseResult arguments, string folder, ProgressReport report, CancellationToken cancellation)
    {
        var options = Options(arguments, folder);
        using var to = options.OpenState();
        var opening = new StateOpening { HasHistory = StateStages.HasHistory(folder) };
        using var from = new StateDatabase(Path.Combine(folder, ServerFolder.State), opening);
        return await StateCopy.RunAsync(
            from, to, StateStages.All, p => report(p.Doing, p.Done, p.Total), isWhole => MarkAsync(isWhole, folder, from, to, cancellation),
            cancellation);
    }

    static WhistleOptions Options(ParseResult arguments, string folder)
    {
        var layer = new SettingsLayer
        {
            [nameof(WhistleOptions.DataFolder)] = new(folder, Data.Name, Environment.CurrentDirectory),
        };
        if (arguments.GetValue(Database) is { } file)
            layer[nameof(WhistleOptions.DatabaseFile)] = new(file, Database.Name, Environment.CurrentDirectory);
        var configuration = ServeConfiguration.Load(arguments.GetValue(ServeCommand.Config), ServeCommand.Environment(), layer);
        if (configuration.Errors.Count > 0)
            throw new StartException(string.Join(Environment.NewLine, configuration.Errors));
        return configuration.Options.UsesPostgreSql ? configuration.Options : throw new StartException(
            $"No database is named, so nothing was copied. Write its connection string into a file that only you can read, and name it "
            + $"with {Database.Name}.");
    }

    // From here on the folder belongs to the state in the database.
    static async Task MarkAsync(bool isWhole, string folder, StateDatabase from, StateDatabase to, CancellationToken cancellation)
    {
        if (!isWhole)
        {
            File.Delete(Path.Combine(folder, ServerFolder.StateMoved));
            return;
        }

        var id = await from.IdentityAsync(cancellation);
        DurableFile.Write(Path.Combine(folder, ServerFolder.StateMoved), $"{id}\n");
        await to.RememberInAsync(folder, cancellation);
    }

    static void Tell(CopiedState copied, string folder)
    {
        foreach (var table in copied.Tables.Where(t => t.Rows > 0))
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{table.Name}: {table.Rows} rows, {table.Hash[..16]}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"""
            All {copied.Rows} rows of the state {copied.Id} are in the database, and each was compared.
            """));
        if (copied.Altered > 0)
            Console.WriteLine(
                $"In {copied.Altered} texts, characters that PostgreSQL cannot hold (NUL, half a surrogate) have a replacement.");
        Console.WriteLine($"""
            Now set DatabaseFile in the server's settings to the file with the connection string, and start the server.
            {Path.Combine(folder, ServerFolder.State)} is out of date, and no server starts on it any more.
            Keep it until the server runs, then delete it with its -wal, -shm and -instance. From now on, back up with pg_dump too.
            """);
    }
}
