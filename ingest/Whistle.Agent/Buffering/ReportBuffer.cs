using Microsoft.Extensions.Logging;

using Whistle.Agent.Settings;

namespace Whistle.Agent.Buffering;

/// <param name="Sequence">Rises with every report of this process.</param>
/// <param name="Time">Milliseconds since 1970 UTC.</param>
/// <param name="Samples">How many samples it carries, for the count of what was dropped.</param>
/// <param name="Payload">The request body, ready to be sent.</param>
sealed record BufferedReport(long Sequence, long Time, int Samples, byte[] Payload);

/// <summary>Why samples were dropped; the label <c>reason</c> of <c>whistle_agent_dropped_samples_total</c>.</summary>
enum DropReason
{
    /// <summary>Older than the buffer keeps.</summary>
    TooOld,

    /// <summary>The buffer reached its size.</summary>
    BufferFull,

    /// <summary>The disk took nothing, and the queue in memory was full too.</summary>
    MemoryFull,

    /// <summary>The disk did not give back what was written.</summary>
    Corrupt,

    /// <summary>The server refused it for good.</summary>
    Refused,
}

/// <summary>
/// Reports that the server has not acknowledged, oldest first, on disk before <see cref="Append"/> returns. Bounded in
/// bytes and age: past a bound the oldest is dropped and counted. Where the disk takes nothing, the newest reports wait in
/// a small queue in memory. A crash at any instant loses nothing that was appended; what was removed shortly before
/// it may come again. Thread-safe.
/// </summary>
sealed class ReportBuffer : IDisposable
{
    const string Extension = ".reports";
    const long LargestSegment = 1 << 20;

    readonly Lock _lock = new();
    readonly BufferOptions _options;
    readonly TimeProvider _time;
    readonly ILogger _log;
    readonly long[] _dropped = new long[Enum.GetValues<DropReason>().Length];

    // Every report on disk is older than every report in memory: nothing goes to disk before the memory has.
    readonly Queue<Entry> _onDisk = new();
    readonly Queue<BufferedReport> _inMemory = new();
    readonly Queue<Segment> _segments = new();
    FileStream? _ownership;
    Segment? _active;
    long _fileBytes;
    long _memoryBytes;
    long _nextSequence;
    long _nextSegment;
    bool _diskFails;

    /// <exception cref="InvalidOperationException">Another agent uses the folder.</exception>
    public ReportBuffer(BufferOptions options, TimeProvider time, ILogger log)
    {
        _options = options;
        _time = time;
        _log = log;
        TryOnDisk(Open_NeedsLock);
    }

    public long Bytes
    {
        get
        {
            lock (_lock)
                return _fileBytes + _memoryBytes;
        }
    }

    public int Count
    {
        get
        {
            lock (_lock)
                return _onDisk.Count + _inMemory.Count;
        }
    }

    public long Dropped(DropReason reason)
    {
        lock (_lock)
            return _dropped[(int)reason];
    }

    public void Append(long time, int samples, byte[] payload)
    {
        lock (_lock)
        {
            _inMemory.Enqueue(new BufferedReport(_nextSequence++, time, samples, payload));
            _memoryBytes += payload.Length;
            TryOnDisk(MoveToDisk_NeedsLock);
            DropPastBounds_NeedsLock();
        }
    }

    /// <summary>The oldest report, or null. It stays until <see cref="Remove"/>.</summary>
    public BufferedReport? Peek()
    {
        lock (_lock)
        {
            DropPastBounds_NeedsLock();
            while (_onDisk.TryPeek(out var entry))
            {
                if (entry.Segment.Read(entry.At) is { } payload)
                    return new BufferedReport(entry.Sequence, entry.At.Time, entry.At.Samples, payload);
                DropOldest_NeedsLock(DropReason.Corrupt);
            }

            return _inMemory.TryPeek(out var report) ? report : null;
        }
    }

    /// <summary>The server has it. Does nothing if a limit has dropped the report since.</summary>
    public void Remove(BufferedReport report)
    {
        lock (_lock)
        {
            if (OldestSequence_NeedsLock() == report.Sequence)
                Dequeue_NeedsLock();
        }
    }

    /// <summary>The server will never take it.</summary>
    public void Refuse(BufferedReport report)
    {
        lock (_lock)
        {
            if (OldestSequence_NeedsLock() == report.Sequence)
                DropOldest_NeedsLock(DropReason.Refused);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var segment in _segments)
                segment.Dispose();
            _ownership?.Dispose();
        }
    }

    void TryOnDisk(Action action)
    {
        try
        {
            action();
            if (_diskFails)
                _log.BufferDiskRecovered(_options.Folder);
            _diskFails = false;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (!_diskFails)
                _log.BufferDiskFails(_options.Folder, e.Message);
            _diskFails = true;
        }
    }

    void MoveToDisk_NeedsLock()
    {
        Open_NeedsLock();
        while (_inMemory.TryPeek(out var report))
        {
            var frame = Frame.Write(report.Time, report.Samples, report.Payload);
            var segment = Writable_NeedsLock(frame.Length);
            _onDisk.Enqueue(new Entry(segment, segment.Append(frame), report.Sequence));
            _fileBytes += frame.Length;
            _inMemory.Dequeue();
            _memoryBytes -= report.Payload.Length;
        }
    }

    Segment Writable_NeedsLock(int length)
    {
        var largest = Math.Min(LargestSegment, _options.MaxBytes / 8);
        if (_active is not null && (_active.Length == 0 || _active.Length + length <= largest))
            return _active;
        // A number is never tried twice: a file that could not be deleted may still hold it.
        var segment = Segment.Create(Path.Join(_options.Folder, $"{_nextSegment++:D20}{Extension}"));
        _segments.Enqueue(segment);
        return _active = segment;
    }

    void Open_NeedsLock()
    {
        if (_ownership is not null)
            return;
        Directory.CreateDirectory(_options.Folder);
        var ownership = Own(Path.Join(_options.Folder, "lock"));
        try
        {
            foreach (var path in Directory.EnumerateFiles(_options.Folder, $"*{Extension}").Order(StringComparer.Ordinal))
                OpenSegment_NeedsLock(path);
        }
        catch
        {
            ownership.Dispose();
            Forget_NeedsLock();
            throw;
        }

        _ownership = ownership;
    }

    void OpenSegment_NeedsLock(string path)
    {
        if (long.TryParse(Path.GetFileNameWithoutExtension(path), out var number))
            _nextSegment = Math.Max(_nextSegment, number + 1);
        var segment = Segment.Open(path, out var frames, out var cut);
        if (cut > 0)
            _log.BufferTailCut(path, cut);
        if (frames.Count == 0)
        {
            segment.Dispose();
            File.Delete(path);
            return;
        }

        _segments.Enqueue(segment);
        _active = segment;
        _fileBytes += segment.Length;
        // Reports in memory have higher numbers already where the disk failed at first; only equality is ever asked.
        foreach (var frame in frames)
            _onDisk.Enqueue(new Entry(segment, frame, _nextSequence++));
    }

    void Forget_NeedsLock()
    {
        foreach (var segment in _segments)
            segment.Dispose();
        _segments.Clear();
        _onDisk.Clear();
        _active = null;
        _fileBytes = 0;
    }

    static FileStream Own(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e) when (File.Exists(path) && IsHeldByAnother(e))
        {
            throw new InvalidOperationException(
                $"Another agent uses the buffer {Path.GetDirectoryName(path)}. Stop it, or give this one its own folder with --buffer.", e);
        }
    }

    // EWOULDBLOCK, which .NET reports for a lock that another process (or another handle of this one) holds.
    static bool IsHeldByAnother(IOException e) => e.HResult is 11 or unchecked((int)0x80070020);

    long OldestSequence_NeedsLock() =>
        _onDisk.TryPeek(out var entry) ? entry.Sequence : _inMemory.TryPeek(out var report) ? report.Sequence : -1;

    void DropPastBounds_NeedsLock()
    {
        var oldest = (_time.GetUtcNow() - _options.MaxAge).ToUnixTimeMilliseconds();
        while (OldestTime_NeedsLock() < oldest)
            DropOldest_NeedsLock(DropReason.TooOld);
        while (_fileBytes > _options.MaxBytes && _onDisk.Count > 0)
            DropOldest_NeedsLock(DropReason.BufferFull);
        while (_memoryBytes > _options.MaxMemoryBytes)
            DropInMemory_NeedsLock();
    }

    long OldestTime_NeedsLock() =>
        _onDisk.TryPeek(out var entry) ? entry.At.Time : _inMemory.TryPeek(out var report) ? report.Time : long.MaxValue;

    void DropOldest_NeedsLock(DropReason reason) => CountDrop_NeedsLock(reason, Dequeue_NeedsLock());

    void DropInMemory_NeedsLock()
    {
        var report = _inMemory.Dequeue();
        _memoryBytes -= report.Payload.Length;
        CountDrop_NeedsLock(DropReason.MemoryFull, report.Samples);
    }

    void CountDrop_NeedsLock(DropReason reason, int samples)
    {
        if (_dropped[(int)reason] == 0)
            _log.ReportsDropped(reason);
        _dropped[(int)reason] += samples;
    }

    int Dequeue_NeedsLock()
    {
        if (_onDisk.TryDequeue(out var entry))
        {
            if (--entry.Segment.Pending == 0)
                Empty_NeedsLock(entry.Segment);
            return entry.At.Samples;
        }

        var report = _inMemory.Dequeue();
        _memoryBytes -= report.Payload.Length;
        return report.Samples;
    }

    // Reports leave in the order of the segments, so the one that is empty is the first.
    void Empty_NeedsLock(Segment segment)
    {
        _fileBytes -= segment.Length;
        try
        {
            if (segment == _active)
            {
                segment.Clear();
                return;
            }

            _segments.Dequeue().Dispose();
            File.Delete(segment.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _log.BufferDiskFails(_options.Folder, e.Message);
        }
    }

    readonly record struct Entry(Segment Segment, FrameAt At, long Sequence);
}
