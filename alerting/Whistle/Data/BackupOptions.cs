using Quartz;

using Whistle.Alerting.Configuration;

namespace Whistle.Data;

/// <summary>Backups that the server makes by itself, each in a folder of its own.</summary>
sealed record BackupOptions
{
    /// <summary>A cron expression of Quartz, in UTC; null for none.</summary>
    public string? Schedule { get; init; }

    /// <summary>Where the backups are made: a folder that exists.</summary>
    public string? Folder { get; init; }

    /// <summary>So many stay, the newest.</summary>
    public int Keep { get; init; } = 7;

    public static BackupOptions Read(SettingsSection section) => new()
    {
        Schedule = section.Text(nameof(Schedule)),
        Folder = section.Path(nameof(Folder)),
        Keep = section.Number(nameof(Keep)) ?? new BackupOptions().Keep,
    };

    public IEnumerable<OptionError> Errors()
    {
        const string section = "Backup";
        if (Schedule is not null && !CronExpression.TryParse(Schedule, out _))
            yield return new($"{section}:{nameof(Schedule)}", $"\"{Schedule}\" is no cron expression. Write it like 0 30 2 * * ?, in UTC: "
                + "second, minute, hour, day of the month, month, day of the week.");
        if (Schedule is not null && Folder is null)
            yield return new($"{section}:{nameof(Folder)}", "it is missing, so no backup can be made. Write it like /var/backups/whistle.");
        if (Schedule is null && Folder is not null)
            yield return new($"{section}:{nameof(Schedule)}", "it is missing, so no backup is made. Write it like 0 30 2 * * ?, in UTC.");
        if (Keep is < 1 or > 10_000)
            yield return new($"{section}:{nameof(Keep)}", $"{Keep} is not between 1 and 10000. Write it like 7.");
    }
}
