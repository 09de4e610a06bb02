using System.Globalization;

using Whistle.Data;

namespace Whistle.Backups;

/// <summary>Makes a backup named by its time, and deletes what is too many.</summary>
static class ScheduledBackup
{
    const string Prefix = "whistle-";
    const string Format = "yyyyMMdd'T'HHmmss'Z'";

    /// <exception cref="BackupException">It was not made, or an older one could not be deleted.</exception>
    public static async Task RunAsync(BackupApi api, BackupOptions options, DateTimeOffset now, CancellationToken cancellation)
    {
        var folder = options.Folder!;
        // Of a server that was killed amid it.
        foreach (var left in Own(folder, Backup.Partial))
            Delete(left);
        var made = Path.Combine(folder, Prefix + now.UtcDateTime.ToString(Format, CultureInfo.InvariantCulture));
        await api.MakeAsync(made, cancellation);
        // Where the clock was ahead, older ones have later names; the one just made is not the oldest.
        foreach (var old in Own(folder, "").Where(f => f != made && ServerFolder.IsBackup(f)).OrderDescending(StringComparer.Ordinal)
            .Skip(options.Keep - 1))
            Delete(old);
    }

    // Whatever else lies there is not touched.
    static IEnumerable<string> Own(string folder, string suffix) => !Directory.Exists(folder) ? []
        : Directory.GetDirectories(folder).Where(f => new DirectoryInfo(f).LinkTarget is null && IsOwn(Path.GetFileName(f), suffix));

    static bool IsOwn(string name, string suffix) =>
        name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(suffix, StringComparison.Ordinal)
        && DateTime.TryParseExact(name[Prefix.Length..^suffix.Length], Format, CultureInfo.InvariantCulture, DateTimeStyles.None, out _);

    static void Delete(string folder)
    {
        if (!Backup.TryDelete(folder))
            throw new BackupException($"{folder} could not be deleted. Delete it, and see who owns it.");
    }
}
