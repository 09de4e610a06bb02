namespace Whistle.Data;

/// <summary>Another process works on the data folder.</summary>
/// <param name="folder">The data folder.</param>
/// <param name="by">What that process wrote to the lock file; empty where it wrote nothing, as older versions do.</param>
sealed class FolderInUseException(string folder, string by) : IOException(
    $"{(by.Length == 0 ? "Another process" : Described(by))} uses {folder}. Stop it first, or name another folder with --data.")
{
    /// <summary>It is a server, or may be one.</summary>
    public bool IsServer => by.Length == 0 || Parts(by).Command == ServerLock.Server;

    /// <summary>Such as <c>whistle serve (process 4711)</c>.</summary>
    public string By => by.Length == 0 ? "another process" : Described(by);

    static string Described(string by) => Parts(by) is var (process, command) ? $"{command} (process {process})" : "";

    static (string Process, string Command) Parts(string by) =>
        by.Split(' ', 2) is [var process, var command] ? (process, command) : (by, "whistle");
}
