using System.Text.Json;

using Whistle.Agent.Linux;
using Whistle.Alerting;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;

namespace Whistle.Backups;

/// <summary>
/// A file in a restored data folder, for the first server that starts on it: only that knows the state, of either engine. It begins the new
/// generation and turns the kill switch on, since nobody knows what people said after the backup: a pause, a stop, another mode.
/// </summary>
/// <param name="Generation">The one that begins.</param>
sealed record RestoreMark(string Generation, DateTimeOffset BackupAt)
{
    public const string FileName = "restored.json";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, BackupJson.Default.RestoreMark);

    /// <summary>
    /// Takes the mark in before anything is leased or decided. Whatever is done twice because the process dies in between does no harm.
    /// </summary>
    /// <exception cref="StartException">The mark cannot be read.</exception>
    public static async Task TakeInAsync(string dataFolder, IServiceProvider services, DateTimeOffset now, CancellationToken cancellation)
    {
        var file = Path.Combine(dataFolder, FileName);
        if (!File.Exists(file))
            return;
        var mark = Read(file);
        var runs = services.GetRequiredService<RunStore>();
        if ((await runs.LineageAsync(cancellation)).Generation != mark.Generation)
        {
            await services.GetRequiredService<ControlStore>().StopAfterRestoreAsync(
                $"restored from the backup of {mark.BackupAt:yyyy-MM-dd HH:mm:ss}Z: "
                + "modes, pauses, windows and freezes are as they were then. Look at them, then let repairs go again", now, cancellation);
            await services.GetRequiredService<AuditLog>().AppendAsync(
                new(AuditActor.Server, "restore-backup", AccessScope.All, Details: $$"""{"backupAt":"{{mark.BackupAt:O}}"}"""),
                cancellation);
            // Those that were ended or revoked since must not come back.
            await services.GetRequiredService<Sessions>().EndAllAsync(cancellation);
            await services.GetRequiredService<ApiTokens>().RevokeAllAsync(cancellation);
            await services.GetRequiredService<Invitations>().RevokeAllAsync(cancellation);
            await services.GetRequiredService<AlertingHost>().BeginGenerationAsync(cancellation);
            await runs.BeginGenerationAsync(mark.Generation, mark.BackupAt, now, cancellation);
        }

        File.Delete(file);
        Native.SyncFolder(dataFolder);
    }

    static RestoreMark Read(string file)
    {
        try
        {
            if (JsonSerializer.Deserialize(File.ReadAllBytes(file), BackupJson.Default.RestoreMark) is { Generation.Length: > 0 } mark)
                return mark;
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new StartException(
                $"{file} cannot be read, so what agents did since the backup would not be asked for: {e.Message} Restore the backup again.",
                e);
        }

        throw new StartException($"{file} names no generation. Restore the backup again.");
    }
}
