using System.Collections.Concurrent;

using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

/// <summary>
/// The sealed hours on disk. Each has a manifest that names its files with their hashes. Not thread-safe but for <see cref="Fault"/>: the
/// store's layout lock guards the rest.
/// </summary>
sealed class SealedFolder(string path)
{
    readonly SortedDictionary<long, SealedHour> _hours = [];
    // Files as they were when their hash was last found to be right.
    readonly ConcurrentDictionary<string, Stamp> _proven = new();

    public string FullPath => path;

    public IReadOnlyCollection<SealedHour> All => _hours.Values;

    public long? Last => _hours.Count > 0 ? _hours.Keys.Last() : null;

    public SealedHour? Find(long hour) => _hours.GetValueOrDefault(hour);

    public List<SealedHour> Between(long first, long last) => [.. _hours.Values.Where(h => h.Hour >= first && h.Hour <= last)];

    public string PathOf(SealedFile file) => Path.Combine(path, file.Name);

    public string PathOf(string name) => Path.Combine(path, name);

    /// <summary>What was proven stays so: a file that was exchanged has another stamp.</summary>
    public void Clear() => _hours.Clear();

    /// <summary>Takes the hour as it is, without writing anything.</summary>
    public void Take(SealedHour hour) => _hours[hour.Hour] = hour;

    public void Forget(long hour)
    {
        if (!_hours.Remove(hour, out var gone))
            return;
        foreach (var file in gone.Files)
            _proven.TryRemove(file.Name, out _);
    }

    /// <summary>Writes the manifest whole: from here on, these files are the hour.</summary>
    /// <exception cref="IOException">Nothing changed.</exception>
    public void WriteManifest(SealedHour hour) => DurableFile.Write(PathOf(hour.ManifestName), hour.Write());

    /// <summary>Files whose content was just hashed.</summary>
    public void Prove(SealedHour hour)
    {
        foreach (var file in hour.Files)
        {
            if (Stamp.Of(PathOf(file)) is { } stamp)
                _proven[file.Name] = stamp;
        }
    }

    public void Delete(SealedHour hour)
    {
        // The manifest first: what is left without one is not taken for an hour.
        File.Delete(PathOf(hour.ManifestName));
        foreach (var file in hour.Files)
            File.Delete(PathOf(file));
        Forget(hour.Hour);
    }

    /// <summary>
    /// Why the hour's files cannot be trusted; null where they are what was written. A file is hashed when it is new here, and again when
    /// it has changed.
    /// </summary>
    /// <param name="again">Hashes all of them, whatever was found before.</param>
    /// <exception cref="StoreException">It cannot be decided now, for want of handles or memory.</exception>
    public SealedFault? Fault(SealedHour hour, bool again = false)
    {
        foreach (var file in hour.Files)
        {
            try
            {
                if (FaultOf(file, again) is { } reason)
                    return new(hour, reason, IsDamage: true);
            }
            catch (UnauthorizedAccessException)
            {
                return new(hour, $"{file.Name} may not be read by the server's user", IsDamage: false);
            }
            catch (IOException e)
            {
                return HotFile.IsDamage(e.Message) ? new(hour, $"{file.Name} cannot be read: {e.Message}", IsDamage: true)
                    : throw new StoreException($"{PathOf(file)} cannot be read now: {e.Message}", e);
            }
        }

        return null;
    }

    /// <summary>Whether the files are still as they were when they were hashed.</summary>
    public bool IsUnchanged(SealedHour hour) =>
        hour.Files.All(file => _proven.TryGetValue(file.Name, out var stamp) && Stamp.Of(PathOf(file)) == stamp);

    /// <summary>As <see cref="Fault"/>, but looks at names and sizes only.</summary>
    public string? FaultOfSize(SealedHour hour)
    {
        foreach (var file in hour.Files)
        {
            if (Stamp.Of(PathOf(file)) is not { } stamp)
                return $"{file.Name} is missing";
            if (stamp.Bytes != file.Bytes)
                return $"{file.Name} has {stamp.Bytes} bytes instead of {file.Bytes}";
        }

        return null;
    }

    string? FaultOf(SealedFile file, bool again)
    {
        if (Stamp.Of(PathOf(file)) is not { } stamp)
            return $"{file.Name} is missing";
        if (!again && _proven.TryGetValue(file.Name, out var proven) && proven == stamp)
            return null;
        _proven.TryRemove(file.Name, out _);
        if (stamp.Bytes != file.Bytes)
            return $"{file.Name} has {stamp.Bytes} bytes instead of {file.Bytes}";
        if (SealedFile.Of(PathOf(file), file.Name) != file)
            return $"{file.Name} does not have the content that was written";
        _proven[file.Name] = stamp;
        return null;
    }

    readonly record struct Stamp(long Bytes, long Ticks)
    {
        public static Stamp? Of(string file)
        {
            var info = new FileInfo(file);
            return info.Exists ? new Stamp(info.Length, info.LastWriteTimeUtc.Ticks) : null;
        }
    }
}

/// <summary>Why an hour cannot be read.</summary>
/// <param name="IsDamage">False where its owner or mode is in the way, so that its content may be right.</param>
sealed record SealedFault(SealedHour Hour, string Reason, bool IsDamage);
