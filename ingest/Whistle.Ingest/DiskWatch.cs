using Microsoft.Extensions.Logging;

using Whistle.Ingest.Logs;
using Whistle.Ingest.Stores;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Ingest;

/// <summary>How the server shares its disk with others.</summary>
public sealed record DiskOptions
{
    static readonly long LeastFree = 512L << 20;

    /// <summary>
    /// Free bytes below which samples are refused; where none is named, 512 MiB or a twentieth of the file system, whichever is less.
    /// </summary>
    public long? MinFree { get; init; }

    /// <summary>Room held back for the state, see <see cref="StateReserve"/>.</summary>
    public long StateReserve { get; init; } = 16L << 20;

    /// <summary>Whether the oldest hours of telemetry are dropped before their time, rather than that new samples are refused.</summary>
    public bool DropOldest { get; init; } = true;

    /// <summary>What is never dropped before its time.</summary>
    public TimeSpan KeepAtLeast { get; init; } = TimeSpan.FromDays(1);

    internal long MinFreeOf(long total) => MinFree ?? Math.Min(LeastFree, total / 20);
}

/// <summary>
/// Looks at what the disk has left, and lets telemetry give way before the state has to: first its oldest hours, where the operator lets
/// them, then the samples of senders, who keep them and send them again. Not thread-safe.
/// </summary>
public sealed class DiskWatch(
    DiskOptions options, StoreOptions storeOptions, TelemetryLog log, StateDatabase database, StateReserve reserve,
    HealthBoard health, IngestMetrics metrics, TimeProvider time, ILogger<DiskWatch> logger, DuckDbStore? store = null)
{
    const string Component = "disk";
    const string Dropped = "retention";

    // The store makes a few files an hour; the state two at a start.
    const long MostMinInodes = 1024;

    // Long enough to be seen; the metric keeps count.
    static readonly TimeSpan ReportedFor = TimeSpan.FromHours(24);

    // What is held back is looked after this often, and at once when room comes back.
    static readonly TimeSpan ReserveEvery = TimeSpan.FromMinutes(1);

    bool _refuses;
    long? _reservedAt;
    DateTimeOffset? _droppedAt;
    (DateTimeOffset First, DateTimeOffset Last, int Hours) _dropped;
    // Hours were dropped, and nothing more is before as many bytes are free; null where what was dropped has made room.
    long? _awaited;

    /// <summary>What the file system of a folder has.</summary>
    internal Func<string, DiskSpace> SpaceOf { get; init; } = DiskSpace.Of;

    string Folder => storeOptions.Folder;

    /// <summary>At a start, before anything is written: quick.</summary>
    public void Open()
    {
        reserve.ReserveLog(database);
        Judge(SpaceOf(Folder));
    }

    public async Task LookAsync(CancellationToken cancellation)
    {
        try
        {
            var space = SpaceOf(Folder);
            // First: whatever holds up the dropping, the disk is filled by no samples.
            Judge(space);
            if (options.DropOldest && store is not null && space.Free < MinFree(space))
            {
                space = DropOldest(store, space, MinFree(space));
                Judge(space);
            }
            else
            {
                _awaited = null;
                health.Clear(Component, Dropped);
            }

            await ReserveAsync(space, cancellation);
            store?.LookAtHotFile();
            await database.LookAtFileAsync(cancellation);
        }
        catch (IOException e)
        {
            health.Report(Component, "", HealthState.Degraded, e.Message);
        }

        if (_droppedAt is { } at && time.GetUtcNow() - at > ReportedFor)
        {
            health.Clear(Dropped, "");
            _droppedAt = null;
        }
    }

    // Once refused, a quarter more must be free: samples must not be taken and refused by turns.
    long MinFree(DiskSpace space) => options.MinFreeOf(space.Total) * (_refuses ? 5 : 4) / 4;

    static long MinInodes(DiskSpace space) => Math.Min(MostMinInodes, space.Inodes / 100);

    void Judge(DiskSpace space)
    {
        var (least, fewest) = (MinFree(space), MinInodes(space));
        var reason = space.Free < least ? $"The file system of {Folder} has {Mebibytes(space.Free)} of {Mebibytes(space.Total)} free; "
            + $"{Mebibytes(least)} are needed to accept samples."
            : space.FreeInodes < fewest ? $"The file system of {Folder} has {space.FreeInodes} of {space.Inodes} inodes free; "
                + $"{fewest} are needed to accept samples."
            : null;
        if (reason is not null && !_refuses)
            logger.DiskFull(reason);
        else if (reason is null && _refuses)
            logger.DiskFree();
        _refuses = reason is not null;
        log.Refuse(reason is null ? null : "The server's disk is full. It accepts no samples until there is space.");
        if (reason is not null)
            health.Report(Component, "", HealthState.Failed, $"{reason} Senders keep their samples and retry, and the state of their nodes "
                + "is unknown. Incidents, pages and the kill switch keep working. Free space, or lower Retention.");
        else if (space.Free < 2 * least || space.FreeInodes < 2 * fewest)
            health.Report(
                Component, "", HealthState.Degraded,
                $"The file system of {Folder} has {Mebibytes(space.Free)} and {space.FreeInodes} inodes free. "
                + $"Below {Mebibytes(least)} or {fewest} inodes, samples are refused. Free space, or lower Retention.");
        else
            health.Clear(Component, "");
    }

    // Where a snapshot or a link keeps the files, or the file system frees them later,
    // deleting more would cost all of the history and give no room.
    DiskSpace DropOldest(DuckDbStore from, DiskSpace before, long least)
    {
        if (before.Free < _awaited)
        {
            health.Report(Component, Dropped, HealthState.Degraded, $"The oldest hours were dropped from {Folder}, but that freed no space "
                + $"on its file system. No more are dropped until {Mebibytes(_awaited.Value)} are free. "
                + "Delete snapshots and hard-linked copies of the folder, or find what else fills the disk.");
            return before;
        }

        var (space, freed, bytes) = (before, 0L, 0L);
        try
        {
            while (space.Free < least && freed < least - before.Free
                && from.DropOldest(time.GetUtcNow() - options.KeepAtLeast, out bytes) is { } hour)
            {
                freed += bytes;
                ReportDropped(hour);
                space = SpaceOf(Folder);
            }

            health.Clear(Component, Dropped);
        }
        catch (StoreException e)
        {
            freed += bytes;
            health.Report(Component, Dropped, HealthState.Degraded, e.Message);
        }

        // Half of it: others write too.
        var awaited = before.Free + freed / 2;
        _awaited = space.Free < awaited ? awaited : null;
        return space;
    }

    void ReportDropped(DateTimeOffset hour)
    {
        metrics.HoursDropped.Inc();
        logger.HourDropped(hour);
        _dropped = _droppedAt is null
            ? (hour, hour, 1)
            : (_dropped.First < hour ? _dropped.First : hour, _dropped.Last > hour ? _dropped.Last : hour, _dropped.Hours + 1);
        _droppedAt = time.GetUtcNow();
        health.Report(Dropped, "", HealthState.Degraded, $"The disk was full, so {_dropped.Hours} hours of telemetry from "
            + $"{_dropped.First:u} to {_dropped.Last.AddHours(1):u} were dropped early. Add space or shorten Retention. "
            + "Disk:DropOldest=false refuses new samples instead.");
    }

    async Task ReserveAsync(DiskSpace space, CancellationToken cancellation)
    {
        if (_refuses || (_reservedAt is { } at && TimeProvider.System.GetElapsedTime(at) < ReserveEvery))
            return;
        _reservedAt = TimeProvider.System.GetTimestamp();
        if (await reserve.ReserveAsync(database, cancellation))
            health.Clear(Component, "reserve");
        else
            health.Report(Component, "reserve", HealthState.Degraded, $"{Mebibytes(space.Free)} are free, but no space can be reserved for "
                + $"the state in {Path.GetDirectoryName(Folder)}, so on a full disk no incident could be saved. "
                + "Check that the folder is writable and on a file system that preallocates (ext4, xfs).");
    }

    static string Mebibytes(long bytes) => $"{bytes / (double)(1 << 20):0.#} MiB";
}
