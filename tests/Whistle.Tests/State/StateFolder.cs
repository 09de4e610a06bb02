using Microsoft.Data.Sqlite;

namespace Whistle.Tests.State;

/// <summary>A folder with a state file, read and harmed without the code that keeps it.</summary>
sealed class StateFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("whistle-state-").FullName;

    public string File => System.IO.Path.Combine(Path, "state.sqlite");

    public string Log => File + "-wal";

    /// <summary>Plain SQLite on the file.</summary>
    public List<string> Sql(string sql, string? file = null)
    {
        using var connection = new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = file ?? File, Pooling = false }.ToString());
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Texts of the tests.
        command.CommandText = sql;
#pragma warning restore CA2100
        using var reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read())
            rows.Add(string.Join(' ', Enumerable.Range(0, reader.FieldCount).Select(i => reader.GetValue(i))));
        return rows;
    }

    /// <summary>All files as they are now, as a killed process leaves them.</summary>
    public StateFolder Copy()
    {
        var copy = new StateFolder();
        foreach (var file in Directory.GetFiles(Path))
            System.IO.File.Copy(file, System.IO.Path.Combine(copy.Path, System.IO.Path.GetFileName(file)));
        return copy;
    }

    /// <summary>The files that hold what was written, with their bytes.</summary>
    public Dictionary<string, string> Contents() => Directory.GetFiles(Path)
        .Where(f => !f.EndsWith("-shm", StringComparison.Ordinal) && new FileInfo(f) is { LinkTarget: null, Length: > 0 })
        .ToDictionary(
            f => System.IO.Path.GetFileName(f),
            f => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.IO.File.ReadAllBytes(f))));

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
