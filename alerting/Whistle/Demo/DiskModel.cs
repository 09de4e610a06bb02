namespace Whistle.Demo;

/// <summary>The used part of a disk as a function of time, between 0 and 1.</summary>
abstract record DiskCurve
{
    public abstract double UsedAt(DateTimeOffset at);

    /// <summary>Moves a little around a level.</summary>
    /// <param name="Phase">0 to 1, of a swing.</param>
    public sealed record Steady(double Level, TimeSpan Swing, double Phase) : DiskCurve
    {
        const double Amplitude = 0.003;

        public override double UsedAt(DateTimeOffset at) =>
            Level + (Amplitude * Math.Sin(Math.Tau * (((at - DateTimeOffset.UnixEpoch) / Swing) + Phase)));
    }

    /// <summary>Fills and never steps back: where the shipped forecast begins to hold is known to the second.</summary>
    /// <param name="Warned">When 40 % are free, below which the forecast looks.</param>
    /// <param name="AnHour">Part of the disk that is gained in an hour.</param>
    public sealed record Filling(DateTimeOffset Warned, double AnHour) : DiskCurve
    {
        public const double WarnedLevel = 0.60;
        const double Fullest = 0.995;

        public override double UsedAt(DateTimeOffset at)
        {
            var hours = (at - Warned).TotalHours;
            // Faster and slower, but always on: its steepest fall is half of the growth.
            var wobble = 0.05 * Math.Sin(Math.Tau * hours / 0.7);
            return Math.Clamp(WarnedLevel + (AnHour * (hours + wobble)), 0.02, Fullest);
        }
    }

    /// <summary>Fills and is emptied by a rotation, always from and to the same level: the same numbers again, to the last bit.</summary>
    /// <param name="Emptied">One of the instants at which it is emptied.</param>
    public sealed record SawTooth(double Low, double High, TimeSpan Period, DateTimeOffset Emptied) : DiskCurve
    {
        public override double UsedAt(DateTimeOffset at)
        {
            var since = (at - Emptied).Ticks % Period.Ticks;
            return Low + ((High - Low) * (since < 0 ? since + Period.Ticks : since) / Period.Ticks);
        }
    }
}

/// <summary>A folder of a disk, and its part of what is used there.</summary>
/// <param name="Grows">What the disk gains goes here, instead of a fixed part.</param>
sealed record DiskFolder(string Path, double Part, bool Grows = false);

/// <summary>What the policy of a node lets go on a disk: old files below a root, down to a level.</summary>
/// <param name="Keeps">The used part of the disk that stays when all old files are gone.</param>
/// <param name="FileBytes">The usual size of a file.</param>
sealed record CleanableFiles(string Root, string Pattern, string MinimumAge, double Keeps, long FileBytes);

/// <summary>A mounted file system of a simulated node: nothing but numbers. Cleaning moves its level. Thread-safe.</summary>
sealed class DiskModel(string device, string type, string mountpoint, long size, DiskCurve curve)
{
    // What ext4 keeps back for root.
    const double Reserved = 0.02;
    const long BytesAnInode = 16 << 10;
    const long BytesAFile = 90 << 10;

    readonly Lock _lock = new();
    long _freed;

    public string Device => device;

    public string Type => type;

    public string Mountpoint => mountpoint;

    public long Size => size;

    public CleanableFiles? Cleanable { get; init; }

    public IReadOnlyList<DiskFolder> Folders { get; init; } = [];

    public long Inodes => size / BytesAnInode;

    /// <summary>Bytes that programs cannot have any more, without what is reserved.</summary>
    public long UsedAt(DateTimeOffset at)
    {
        lock (_lock)
            return Math.Max((long)(size * curve.UsedAt(at)) - _freed, 0);
    }

    /// <summary>Bytes that programs may still have; rules and page look at this one.</summary>
    public long AvailableAt(DateTimeOffset at) => size - UsedAt(at);

    public long FreeAt(DateTimeOffset at) => Math.Min(size, AvailableAt(at) + (long)(size * Reserved));

    public long FreeInodesAt(DateTimeOffset at) => Inodes - Math.Min(Inodes, 2000 + (UsedAt(at) / BytesAFile));

    /// <summary>Bytes of old files.</summary>
    public long CleanableAt(DateTimeOffset at) =>
        Cleanable is { } files ? Math.Max(UsedAt(at) - (long)(size * files.Keeps), 0) / files.FileBytes * files.FileBytes : 0;

    public void Free(long bytes)
    {
        lock (_lock)
            _freed += bytes;
    }

    /// <summary>The folders with their bytes, the largest first.</summary>
    public IReadOnlyList<(string Path, long Bytes)> FoldersAt(DateTimeOffset at)
    {
        var used = UsedAt(at);
        var constant = (long)(size * Folders.Where(f => !f.Grows).Sum(f => f.Part));
        return
        [
            .. Folders.Select(f => (f.Path, f.Grows ? Math.Max(used - constant, 0) : Math.Min((long)(size * f.Part), used)))
                .OrderByDescending(f => f.Item2),
        ];
    }
}
