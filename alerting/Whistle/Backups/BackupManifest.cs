using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Data;
using Whistle.State.Files;

namespace Whistle.Backups;

/// <summary>What a backup holds. It is written last: a folder without it is no backup.</summary>
sealed record BackupManifest
{
    public const int CurrentFormat = 1;
    public const string FileName = ServerFolder.BackupManifest;
    public const string Sqlite = "sqlite";
    public const string PostgreSql = "postgresql";

    public required int Format { get; init; }

    /// <summary>The version of the program that made it.</summary>
    public required string Program { get; init; }

    /// <summary>Right before the state was copied: what happened later is not known to be in it.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>The name of the state that it is of.</summary>
    public required string Instance { get; init; }

    /// <summary>Where the state was kept: in this backup only where that is <see cref="Sqlite"/>.</summary>
    public required string State { get; init; }

    public required long HotSamples { get; init; }

    public required long SealedSamples { get; init; }

    public required IReadOnlyList<FileSum> Files { get; init; }

    /// <summary>SHA-256 over this file as it is with an empty checksum.</summary>
    public string Checksum { get; init; } = "";

    [JsonIgnore]
    public long Bytes => Files.Sum(f => f.Size);

    public byte[] ToBytes() => Serialize(this with { Checksum = SumOf(this) });

    /// <exception cref="BackupException">There is none, it is damaged, or of a format that this program does not read.</exception>
    public static BackupManifest Read(string folder)
    {
        var file = Path.Combine(folder, FileName);
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new BackupException($"{folder} is not a finished backup: it has no {FileName}. Take another backup.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new BackupException($"{file} cannot be read: {e.Message}");
        }

        try
        {
            // First: of a newer format nothing else is known.
            var format = JsonSerializer.Deserialize(bytes, BackupJson.Default.BackupFormat)?.Format ?? 0;
            if (format > CurrentFormat)
                throw new BackupException($"The backup in {folder} has format {format}; this program reads formats up to {CurrentFormat}. "
                    + "Use the version that made it, or a later one.");
            if (JsonSerializer.Deserialize(bytes, BackupJson.Default.BackupManifest) is { } manifest
                && manifest.Checksum == SumOf(manifest))
                return manifest;
        }
        catch (JsonException)
        {
        }

        throw new BackupException($"{file} is damaged, so nothing in {folder} can be trusted. Use another backup.");
    }

    static string SumOf(BackupManifest manifest) => Convert.ToHexStringLower(SHA256.HashData(Serialize(manifest with { Checksum = "" })));

    static byte[] Serialize(BackupManifest manifest) => JsonSerializer.SerializeToUtf8Bytes(manifest, BackupJson.Default.BackupManifest);
}

/// <summary>What every format begins with.</summary>
sealed record BackupFormat(int Format);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, WriteIndented = true)]
[JsonSerializable(typeof(BackupManifest))]
[JsonSerializable(typeof(BackupFormat))]
[JsonSerializable(typeof(RestoreMark))]
sealed partial class BackupJson : JsonSerializerContext;

/// <summary>A backup cannot be made, trusted or restored, for a reason that the operator can do something about.</summary>
sealed class BackupException(string message, Exception? inner = null) : Exception(message, inner);
