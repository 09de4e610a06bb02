using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

using Microsoft.Extensions.Logging;

using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Ingest.Stores;

/// <summary>What is known to be damaged or lost of the telemetry.</summary>
/// <param name="What">The hour or the part that it is about, and the subject on the health board.</param>
/// <param name="From">Samples from here on are missing, in milliseconds since 1970 UTC; <paramref name="To"/> is the end, included.</param>
sealed record Damage(string What, string Reason, DateTimeOffset At, long From, long To)
{
    [JsonIgnore]
    public string? Folder { get; init; }

    public bool Overlaps(long minTime, long maxTime) => From <= maxTime && To >= minTime;
}

/// <summary>
/// The folder beside the telemetry for files that cannot be trusted. Nothing in it is read again; each entry has a <c>reason.json</c>, so
/// that health and queries go on to tell of it until a person has dealt with it.
/// </summary>
sealed class SetAside(string folder, HealthBoard? health, ILogger? logger, TimeProvider time)
{
    public const string Component = "telemetry-store";
    public const string FolderName = "set-aside";

    const string ReasonFile = "reason.json";

    readonly Lock _lock = new();
    List<Damage> _known = [];

    public IReadOnlyList<Damage> Known => Volatile.Read(ref _known);

    /// <summary>Reads what was set aside before.</summary>
    public void Load()
    {
        var known = new List<Damage>();
        if (Directory.Exists(folder))
        {
            foreach (var entry in Directory.GetDirectories(folder).Order(StringComparer.Ordinal))
                known.Add(ReadReason(entry));
        }

        lock (_lock)
            _known = known;
        foreach (var damage in known)
            Report(damage);
    }

    /// <summary>Moves the files, those that exist, out of the way and tells of it. Nothing is deleted.</summary>
    /// <returns>Whether all of them are out of the way.</returns>
    public bool Add(string what, string reason, long from, long to, params IReadOnlyList<string> files)
    {
        var damage = new Damage(what, reason, time.GetUtcNow(), from, to);
        try
        {
            damage = damage with { Folder = NewFolder(damage.At, what) };
            foreach (var file in files.Where(File.Exists))
                File.Move(file, Path.Combine(damage.Folder, Path.GetFileName(file)));
            DurableFile.Write(Path.Combine(damage.Folder, ReasonFile), JsonSerializer.Serialize(damage, DamageJson.Default.Damage) + "\n");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A full disk takes no reason. The damage is still known to this process, and the next start finds it again.
            logger?.NotSetAside(what, folder, e.Message);
        }

        lock (_lock)
            _known = [.. _known, damage];
        logger?.SetAside(what, reason, damage.Folder ?? folder);
        Report(damage);
        return !files.Any(File.Exists);
    }

    /// <summary>Forgets entries that a person has dealt with, and what is past retention, so that no query speaks of it.</summary>
    public void Refresh(long firstKept)
    {
        List<Damage> gone;
        lock (_lock)
        {
            gone = [.. _known.Where(d => (d.Folder is not null && !Directory.Exists(d.Folder)) || d.To < firstKept)];
            _known = [.. _known.Except(gone)];
        }

        foreach (var damage in gone.Where(g => !Known.Any(k => k.What == g.What)))
            health?.Clear(Component, damage.What);
    }

    void Report(Damage damage) => health?.Report(Component, damage.What, HealthState.Degraded,
        $"{damage.Reason}. Queries answer without it. " + (damage.Folder is null
            ? $"It could not be moved to {folder}: free space on that disk, and see that the server's user may write there."
            : $"What was there is kept in {damage.Folder}. If you need it, restore it from a backup "
                + "(docs/operations.md, A damaged file); then delete that folder, which ends this."));

    string NewFolder(DateTimeOffset at, string what)
    {
        var stem = Path.Combine(folder, $"{at.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture)}-{what}");
        var name = stem;
        for (var i = 2; Directory.Exists(name); i++)
            name = $"{stem}-{i}";
        Directory.CreateDirectory(name);
        return name;
    }

    static Damage ReadReason(string entry)
    {
        try
        {
            if (JsonSerializer.Deserialize(File.ReadAllText(Path.Combine(entry, ReasonFile)), DamageJson.Default.Damage) is { } damage)
                return damage with { Folder = entry };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            // What follows says all that is known.
        }

        // Its time is unknown, so every query carries the warning.
        return new Damage(
            Path.GetFileName(entry), $"{entry} was set aside; its {ReasonFile} cannot be read", DateTimeOffset.UnixEpoch, long.MinValue,
            long.MaxValue)
        { Folder = entry };
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    WriteIndented = true)]
[JsonSerializable(typeof(Damage))]
sealed partial class DamageJson : JsonSerializerContext;
