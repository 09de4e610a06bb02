namespace Whistle.Demo;

/// <summary>What `whistle demo` is asked for.</summary>
sealed record DemoOptions
{
    public const int FewestNodes = 12;
    public const int MostNodes = 2000;

    /// <summary>All scripted happenings, but for pages of what nobody repairs, are over after so much of the demo's time.</summary>
    public static readonly TimeSpan Show = TimeSpan.FromMinutes(20);

    public int Nodes { get; init; } = 36;

    public int Seed { get; init; } = 1;

    /// <summary>Twenty minutes in twenty seconds instead of two minutes.</summary>
    public bool Fast { get; init; }

    /// <summary>Null: the usual port where it is free, else any.</summary>
    public Uri? Listen { get; init; }

    /// <summary>Null: a temporary folder that goes at the end.</summary>
    public string? DataFolder { get; init; }

    public double Factor => Fast ? 60 : 10;

    /// <summary>All that is wrong, each with how to fix it.</summary>
    public IReadOnlyList<string> Errors()
    {
        var errors = new List<string>();
        if (Nodes is < FewestNodes or > MostNodes)
            errors.Add($"--nodes: {Nodes} is not between {FewestNodes}, which the script needs, and {MostNodes}.");
        if (DataFolder is not null && Directory.Exists(DataFolder) && Directory.EnumerateFileSystemEntries(DataFolder).Any())
            errors.Add(
                $"--data: {DataFolder} is not empty, and the demo starts afresh each time. Name a new folder, or leave the option out.");
        return errors;
    }
}
