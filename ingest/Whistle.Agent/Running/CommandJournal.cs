using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

using Microsoft.Extensions.Logging;

using Whistle.Actions.Protocol;
using Whistle.Agent.Linux;

namespace Whistle.Agent.Running;

[JsonConverter(typeof(JsonStringEnumConverter<RecordState>))]
enum RecordState
{
    /// <summary>It may have changed something.</summary>
    Intent,

    /// <summary>Its result is to be reported.</summary>
    Result,

    /// <summary>The server has its result; only outcome and summary are kept.</summary>
    Reported,
}

/// <param name="At">When it was written, milliseconds since 1970 UTC.</param>
sealed record CommandRecord(string Id, string Action, RecordState State, long At, CommandResult? Result)
{
    /// <summary>An intent was written; null in records of earlier releases.</summary>
    public bool? Began { get; init; }

    /// <summary>As the server gave it with the command.</summary>
    public string? Step { get; init; }

    public bool Undo { get; init; }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, AllowDuplicateProperties = false)]
[JsonSerializable(typeof(CommandRecord))]
sealed partial class CommandRecordJson : JsonSerializerContext;

/// <summary>
/// Remembers every command that was begun or ended, one file each: a SHA-256 of the rest in hexadecimal, a line break, JSON. The file's
/// name is a hash of the command's id, so that even a damaged file says which command it was. Not thread-safe.
/// </summary>
sealed class CommandJournal
{
    public const int Most = 10_000;
    static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    const string Extension = ".command";
    const int ReserveLength = 256 << 10;
    const int ChecksumLength = 64;
    const int LongestSummary = 300;
    const long LargestRecord = 4 << 20;

    readonly string _folder;
    readonly TimeProvider _time;
    readonly ILogger _log;
    readonly long _since;
    readonly Dictionary<string, CommandRecord?> _records = new(StringComparer.Ordinal);

    /// <exception cref="IOException">The folder cannot be read, so what was executed is not known.</exception>
    public CommandJournal(string folder, TimeProvider time, ILogger log)
    {
        (_folder, _time, _log) = (folder, time, log);
        Directory.CreateDirectory(folder);
        foreach (var path in Directory.EnumerateFiles(folder, $"*{Extension}"))
            _records[Path.GetFileNameWithoutExtension(path)] = Read(path);
        Forget();
        _since = Since();
        Reserve();
    }

    /// <summary>All that is remembered, the oldest first. Of a damaged record only the name of its file and its time are known.</summary>
    public IReadOnlyList<JournalEntry> Entries =>
        [.. _records.Select(r => r.Value is { Result: { } result } record
            ? new JournalEntry(
                record.Id, record.Action, record.At, result.Outcome, Short(result.Summary), record.Began, record.Step, record.Undo)
            : new JournalEntry(
                r.Key, "unknown", At(r.Key, r.Value), CommandOutcome.Indeterminate, "The record of this command is damaged.",
                Began: true)).OrderBy(e => e.At)];

    /// <summary>What ended before then may be forgotten, in milliseconds since 1970 UTC.</summary>
    public long KnownSince
    {
        get
        {
            var since = Math.Max(_since, (_time.GetUtcNow() - Kept).ToUnixTimeMilliseconds());
            return _records.Count < Most ? since : Math.Max(since, _records.Min(r => At(r.Key, r.Value)));
        }
    }

    /// <summary>Results that wait for the server, oldest first.</summary>
    public IReadOnlyList<CommandRecord> Unreported =>
        [.. _records.Values.OfType<CommandRecord>().Where(r => r.State == RecordState.Result).OrderBy(r => r.At)];

    public IReadOnlyList<CommandRecord> Intents => [.. _records.Values.OfType<CommandRecord>().Where(r => r.State == RecordState.Intent)];

    /// <summary>True where the command was seen before; the record is null where it was damaged.</summary>
    public bool Knows(string id, out CommandRecord? record) => _records.TryGetValue(Key(id), out record);

    /// <summary>
    /// Durable when it returns null; otherwise why it could not be, with the record held in memory unless it is an intent.
    /// </summary>
    public string? Write(CommandRecord record)
    {
        var (id, state) = (record.Id, record.State);
        record = record with { At = _time.GetUtcNow().ToUnixTimeMilliseconds() };
        var error = TryWrite(Key(id), record);
        if (error is null || state != RecordState.Intent)
            _records[Key(id)] = record;
        if (error is not null)
            _log.CommandRecordFails(_folder, error);
        return error;
    }

    /// <summary>Drops what is older than a week, and the oldest where there are too many. What the server does not have stays.</summary>
    public void Forget()
    {
        var oldest = (_time.GetUtcNow() - Kept).ToUnixTimeMilliseconds();
        var settled = _records.Where(r => r.Value is null or { State: RecordState.Reported }).OrderBy(r => At(r.Key, r.Value)).ToList();
        var surplus = _records.Count - Most;
        foreach (var (key, record) in settled)
        {
            if (At(key, record) >= oldest && surplus-- <= 0)
                break;
            Delete(PathOf(key));
            _records.Remove(key);
        }
    }

    /// <summary>Makes room for the next record on a disk that is full otherwise: the disk that is to be cleaned may be this one.</summary>
    public void Reserve()
    {
        try
        {
            if (!File.Exists(ReservePath))
                File.WriteAllBytes(ReservePath, RandomNumberGenerator.GetBytes(ReserveLength));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Half a reserve is better than none, and the next start tries again.
        }
    }

    // When this journal began, from a file of its own; journals of earlier releases have at least their oldest record.
    long Since()
    {
        var path = Path.Join(_folder, "since");
        try
        {
            if (File.Exists(path) && long.TryParse(File.ReadAllText(path), out var known))
                return known;
            var since = _records.Select(r => At(r.Key, r.Value)).Append(_time.GetUtcNow().ToUnixTimeMilliseconds()).Min();
            Replace(path, Encoding.ASCII.GetBytes(since.ToString(CultureInfo.InvariantCulture)));
            return since;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is taken to remember less than it does, and the next start tries again.
            return _time.GetUtcNow().ToUnixTimeMilliseconds();
        }
    }

    static string Short(string summary) => summary.Length <= LongestSummary ? summary : summary[..LongestSummary];

    string ReservePath => Path.Join(_folder, "reserve");

    long At(string key, CommandRecord? record) =>
        record?.At ?? new DateTimeOffset(File.GetLastWriteTimeUtc(PathOf(key))).ToUnixTimeMilliseconds();

    string PathOf(string key) => Path.Join(_folder, key + Extension);

    static string Key(string id) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(id)));

    string? TryWrite(string key, CommandRecord record)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(record, CommandRecordJson.Default.CommandRecord);
        byte[] bytes = [.. Encoding.ASCII.GetBytes(Checksum(json)), (byte)'\n', .. json];
        try
        {
            Replace(PathOf(key), bytes);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return RetryWithoutReserve(PathOf(key), bytes);
        }
    }

    string? RetryWithoutReserve(string path, byte[] bytes)
    {
        try
        {
            File.Delete(ReservePath);
            Replace(path, bytes);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    // Whatever happens in between, the old file or the new one is there, whole.
    void Replace(string path, byte[] bytes)
    {
        var fresh = path + ".new";
        using (var file = File.OpenHandle(fresh, FileMode.Create, FileAccess.Write))
        {
            RandomAccess.Write(file, bytes, 0);
            RandomAccess.FlushToDisk(file);
        }

        File.Move(fresh, path, overwrite: true);
        Native.SyncFolder(_folder);
    }

    CommandRecord? Read(string path)
    {
        try
        {
            if (new FileInfo(path).Length <= LargestRecord && Parse(File.ReadAllBytes(path)) is { } record
                && Key(record.Id) == Path.GetFileNameWithoutExtension(path))
                return record;
        }
        catch (JsonException)
        {
        }

        _log.CommandRecordDamaged(path);
        return null;
    }

    static CommandRecord? Parse(byte[] bytes)
    {
        if (bytes.Length <= ChecksumLength + 1)
            return null;
        var json = bytes.AsSpan(ChecksumLength + 1);
        return Encoding.ASCII.GetString(bytes, 0, ChecksumLength) == Checksum(json)
            ? JsonSerializer.Deserialize(json, CommandRecordJson.Default.CommandRecord)
            : null;
    }

    static string Checksum(ReadOnlySpan<byte> json) => Convert.ToHexStringLower(SHA256.HashData(json));

    void Delete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _log.CommandRecordFails(_folder, e.Message);
        }
    }
}
