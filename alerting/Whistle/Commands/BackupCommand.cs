using System.CommandLine;
using System.Globalization;

using Whistle.Alerting.Configuration;
using Whistle.Backups;
using Whistle.Configuration;
using Whistle.Data;
using Whistle.Ingest.Stores;
using Whistle.State;
using Whistle.State.Files;

namespace Whistle.Commands;

/// <summary>Copies of a data folder. A server that runs makes its own; everything else works on folders.</summary>
static class BackupCommand
{
    const string Secrets =
        "It holds secrets: the operator's token, the keys of sessions and the agent's token. Keep it where only you can read it.";

    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(500);

    static readonly Argument<string> Folder = new Argument<string>("folder") { Description = "The backup's folder." }.NotEmpty();
    static readonly Option<string> Data = DataFolder.Option("The server's data folder.");
    static readonly Option<bool> Replace =
        new("--replace") { Description = "Move what is in the data folder aside, beside it. Nothing is deleted." };

    public static Command Build()
    {
        var verify = new Command("verify", "Reads a whole backup and says whether it can be restored.") { Folder };
        verify.SetAction((arguments, cancellation) => TryAsync(
            (show, token) =>
            {
                var manifest = Backup.Verify(arguments.GetValue(Folder)!, show, token);
                return Task.FromResult<Action>(() => Describe(manifest, "Whole"));
            },
            cancellation));
        var restore = new Command("restore", "Makes a data folder of a backup. No server may run on it.") { Folder, Data, Replace };
        restore.SetAction(
            (arguments, cancellation) => TryAsync((show, token) => Task.FromResult(RestoreTo(arguments, show, token)), cancellation));
        return new Command("backup", "Makes, verifies and restores copies of all that a server keeps.") { Create(), verify, restore };
    }

    static Command Create()
    {
        var create = new Command("create", "Makes a verified copy of state and telemetry, while the server runs or not.")
        { Folder, ServeCommand.Config };
        var withServer = ServerConnection.With(create, async (arguments, server, cancellation) =>
        {
            var folder = Path.GetFullPath(arguments.GetValue(Folder)!);
            if (await ProgressBars.RunAsync(report => CreateByServerAsync(folder, server, Showing(report), cancellation)) is { } manifest)
                Created(folder, manifest);
            else
                Console.WriteLine(
                    $"The server has made the backup in {folder} of its machine. Verify it there: whistle backup verify {folder}");
        });
        var byServer = (System.CommandLine.Invocation.AsynchronousCommandLineAction)withServer.Action!;
        withServer.SetAction(async (arguments, cancellation) =>
        {
            var data = arguments.GetValue(ServerConnection.Data)!;
            // Never another folder than that of the server that is meant.
            if (ServerConnection.IsServerTyped(arguments))
                return await byServer.InvokeAsync(arguments, cancellation);
            try
            {
                // Held until the copy is made, so that no server starts on the folder before.
                using var held =
                    Directory.Exists(Path.Combine(data, Backup.Telemetry)) ? ServerLock.Take(data, "whistle backup create") : null;
                return await TryAsync((show, token) => CreateOfflineAsync(arguments, data, show, token), cancellation);
            }
            catch (FolderInUseException e) when (!e.IsServer)
            {
                await Console.Error.WriteLineAsync(e.Message);
                return 1;
            }
            catch (FolderInUseException)
            {
                return await byServer.InvokeAsync(arguments, cancellation);
            }
            catch (UnauthorizedAccessException)
            {
                // Whoever may not read the folder may not ask its server either, and gets that answer there.
                return await byServer.InvokeAsync(arguments, cancellation);
            }
            catch (IOException e)
            {
                await Console.Error.WriteLineAsync(e.Message);
                return 1;
            }
        });
        return withServer;
    }

    // Null where what was made lies on another machine.
    static async Task<BackupManifest?> CreateByServerAsync(
        string folder, ServerConnection server, Action<BackupProgress> show, CancellationToken cancellation)
    {
        var backup = await server.PostAsync("api/whistle/v1/backups", new { folder }, cancellation);
        while (backup.Text("state") == "running")
        {
            await Task.Delay(Look, TimeProvider.System, cancellation);
            backup = await server.GetAsync($"api/whistle/v1/backups/{backup.Text("id")}", cancellation);
            show(new(backup.Text("doing"), backup.GetProperty("bytesDone").GetInt64(), backup.GetProperty("bytesTotal").GetInt64()));
        }

        if (backup.Text("state") != "done")
            throw new CommandException(backup.Text("reason"));
        if (!server.IsHere)
            return null;
        // What the server says of its own work is one thing; what lies there, read by another process, is the other.
        try
        {
            return Backup.Verify(folder, show, cancellation);
        }
        catch (BackupException e)
        {
            throw new CommandException($"The server made it, but it is not whole: {e.Message}");
        }
    }

    static async Task<Action> CreateOfflineAsync(
        ParseResult arguments, string data, Action<BackupProgress> show, CancellationToken cancellation)
    {
        if (!Directory.Exists(Path.Combine(data, Backup.Telemetry)))
            throw new BackupException($"There is no telemetry in {data}, so it is not a data folder of a server. Name that with --data.");
        var layer =
            new SettingsLayer { [nameof(WhistleOptions.DataFolder)] = new(data, ServerConnection.Data.Name, Environment.CurrentDirectory) };
        var configuration = ServeConfiguration.Load(arguments.GetValue(ServeCommand.Config), ServeCommand.Environment(), layer);
        if (configuration.Errors.Count > 0)
            throw new BackupException(string.Join(Environment.NewLine, configuration.Errors));
        var options = configuration.Options;
        using var state = options.OpenState();
        // A folder of an earlier version stays as it is: to open its telemetry would upgrade it.
        await state.RequireCurrentAsync(StateStages.All, cancellation);
        using var telemetry = new DuckDbStore(
            new StoreOptions(Path.Combine(data, Backup.Telemetry), options.Retention, options.StoreMemory), TimeProvider.System);
        var folder = Path.GetFullPath(arguments.GetValue(Folder)!);
        var manifest = await Backup.CreateAsync(new(data, state, telemetry, TimeProvider.System), folder, show, cancellation);
        return () => Created(folder, manifest);
    }

    static Action RestoreTo(ParseResult arguments, Action<BackupProgress> show, CancellationToken cancellation)
    {
        var (backup, data) = (Path.GetFullPath(arguments.GetValue(Folder)!), arguments.GetValue(Data)!);
        var (manifest, aside) = Restore.Run(backup, data, arguments.GetValue(Replace), TimeProvider.System, show, cancellation);
        return () => Restored(manifest, data, aside);
    }

    static void Restored(BackupManifest manifest, string data, string? aside)
    {
        Describe(manifest, $"Restored to {data}");
        if (aside is not null)
            Console.WriteLine($"What was there before is in {aside}.");
        if (manifest.State == BackupManifest.PostgreSql)
            Console.WriteLine("The state is not part of this backup: load the dump of the PostgreSQL database that belongs to it before "
                + "you start the server.");
        Console.WriteLine("""
            When the server starts, the kill switch is on, and agents tell what they did since the backup.
            Look at modes, pauses, windows and freezes,
            revoke senders again that were revoked since, then: whistle kill-switch off --reason "looked at after the restore"
            """);
    }

    static void Created(string folder, BackupManifest manifest)
    {
        Describe(manifest, $"The backup in {folder} is whole");
        if (manifest.State == BackupManifest.PostgreSql)
            Console.WriteLine(
                "The state is not part of it: dump the PostgreSQL database with pg_dump, each time before you make such a backup.");
        Console.WriteLine(Secrets);
    }

    static void Describe(BackupManifest manifest, string what) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{what}: {manifest.Files.Count} files, {manifest.Bytes / 1048576.0:0.0} MiB, {manifest.SealedSamples} samples in sealed hours and "
        + $"{manifest.HotSamples} in the hot store, as of {manifest.At:yyyy-MM-dd HH:mm:ss}Z (Whistle {manifest.Program}, "
        + $"format {manifest.Format})."));

    // What the work says comes after its progress.
    static async Task<int> TryAsync(Func<Action<BackupProgress>, CancellationToken, Task<Action>> work, CancellationToken cancellation)
    {
        try
        {
            var tell = await ProgressBars.RunAsync(report => Task.Run(() => work(Showing(report), cancellation), CancellationToken.None));
            tell();
            return ExitCode.Fine;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync("Stopped; nothing was made.");
        }
        catch (Exception e) when (e is BackupException or StoreException or StateException or DamagedRowException or StartException
            or CommandException or IOException or UnauthorizedAccessException)
        {
            await Console.Error.WriteLineAsync(e.Message);
        }

        return ExitCode.Failed;
    }

    static Action<BackupProgress> Showing(ProgressReport report) => progress => report(progress.Doing, progress.Done, progress.Total);
}
