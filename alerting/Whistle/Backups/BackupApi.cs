using System.ComponentModel;
using System.Text.Json.Serialization;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Access;
using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;

namespace Whistle.Backups;

/// <summary>Where to write the backup: a folder on the server's machine that is empty or does not exist.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
sealed record BackupRequest(string Folder);

enum BackupState
{
    Running,
    Done,
    Failed,
}

/// <param name="BytesDone">Of about <paramref name="BytesTotal"/>.</param>
/// <param name="Doing">What is done at this moment, such as copying.</param>
/// <param name="Reason">Why there is no backup; null unless it failed.</param>
/// <param name="Files">Once it is done, as the next three.</param>
/// <param name="State">Running, done or failed.</param>
sealed record BackupAnswer(
    int Id, string Folder, BackupState State, string Doing, long BytesDone, long BytesTotal, DateTimeOffset StartedAt,
    string? Reason = null, int? Files = null, long? HotSamples = null, long? SealedSamples = null, bool StateIncluded = true);

/// <summary>Of <see cref="WhistleApi"/>: backups, one at a time. The server writes them; whoever asked may look how far it is.</summary>
sealed class BackupApi(BackupSource source, TimeProvider time, IHostApplicationLifetime lifetime, ILogger<BackupApi> logger)
{
    const int Kept = 16;

    readonly Lock _lock = new();
    readonly BackupAnswer?[] _answers = new BackupAnswer?[Kept];
    BackupAnswer? _latest;

    public static void Map(IEndpointRouteBuilder routes, BackupApi api)
    {
        var group = WhistleApi.Group(routes, "backups");
        // A cookie will not do: a page must not be able to have the server write where it likes.
        group.RequireAuthorization(Authentication.TokenOnly).NeedsEverywhere(Permission.ManageServer);
        group.MapPost("/backups", api.StartAsync).WithName("startBackup")
            .WithSummary("Begins a backup into a folder of the server's machine. One is made at a time.");
        group.MapGet("/backups/{id:long}", api.Find).WithName("getBackup")
            .WithSummary($"How far a backup is. The last {Kept} are remembered.");
    }

    async Task<Results<Accepted<BackupAnswer>, BadRequest<ApiError>, Conflict<ApiError>>> StartAsync(
        BackupRequest request, CancellationToken cancellation)
    {
        AuditAct.Current?.Subject = request.Folder;
        try
        {
            BackupTarget.Check(request.Folder, source.DataFolder);
        }
        catch (BackupException e)
        {
            return WhistleApi.BadRequest($"folder: {e.Message}");
        }

        if (Begin(request.Folder, out var running) is not { } started)
            return WhistleApi.Conflict(running);

        try
        {
            await AuditAct.WriteCurrentAsync(cancellation);
        }
        catch (Exception e)
        {
            Set(started with { State = BackupState.Failed, Reason = e.Message });
            throw;
        }

        _ = Task.Run(() => MakeAsync(started, lifetime.ApplicationStopping), CancellationToken.None);
        return TypedResults.Accepted($"{WhistleApi.Root}/backups/{started.Id}", started);
    }

    Results<Ok<BackupAnswer>, NotFound<ApiError>> Find([Description("The backup's number.")] long id)
    {
        lock (_lock)
            return _answers.FirstOrDefault(a => a?.Id == id) is { } found ? TypedResults.Ok(found) : WhistleApi.NotFound(
                $"Backup {id} is not among the last {Kept} since the server started. Look at its folder with `whistle backup verify`.");
    }

    /// <summary>Makes one to its end, as the API would.</summary>
    /// <exception cref="BackupException">There is none.</exception>
    public async Task MakeAsync(string folder, CancellationToken cancellation)
    {
        var started = Begin(folder, out var running) ?? throw new BackupException(running);
        await MakeAsync(started, cancellation);
        cancellation.ThrowIfCancellationRequested();
        if (_answers[started.Id % Kept] is { State: BackupState.Failed } failed)
            throw new BackupException(failed.Reason!);
    }

    // Null where another is being made.
    BackupAnswer? Begin(string folder, out string running)
    {
        lock (_lock)
        {
            running = $"Backup {_latest?.Id} to {_latest?.Folder} is being made. Wait until it is done.";
            if (_latest is { State: BackupState.Running })
                return null;
            Set(new((_latest?.Id ?? 0) + 1, folder, BackupState.Running, "copying", 0, 0, time.GetUtcNow()));
            return _latest;
        }
    }

    async Task MakeAsync(BackupAnswer started, CancellationToken cancellation)
    {
        try
        {
            var manifest = await Backup.CreateAsync(
                source, started.Folder, p => Set(_latest! with { Doing = p.Doing, BytesDone = p.Done, BytesTotal = p.Total }),
                cancellation);
            Set(_latest! with
            {
                State = BackupState.Done,
                BytesDone = manifest.Bytes,
                BytesTotal = manifest.Bytes,
                Files = manifest.Files.Count,
                HotSamples = manifest.HotSamples,
                SealedSamples = manifest.SealedSamples,
                StateIncluded = manifest.State == BackupManifest.Sqlite,
            });
            logger.BackupMade(started.Folder, manifest.Files.Count, manifest.Bytes);
        }
        catch (Exception e)
        {
            var reason = e is BackupException
                ? e.Message
                : e is OperationCanceledException ? "The server was stopped before it was done."
                : $"{e.GetType().Name}: {e.Message}";
            Set(_latest! with { State = BackupState.Failed, Reason = reason });
            logger.BackupFailed(started.Folder, reason);
        }
    }

    void Set(BackupAnswer answer)
    {
        lock (_lock)
            _answers[answer.Id % Kept] = _latest = answer;
    }
}
