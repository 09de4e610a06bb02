using System.Diagnostics;

namespace Whistle.AcceptanceTests;

/// <summary>Commands as an administrator types them.</summary>
static class Shell
{
    /// <summary>What it printed; fails where it ends with anything but 0.</summary>
    public static string Run(string command)
    {
        var (exit, output) = Try(command);
        return exit == 0 ? output : throw new InvalidOperationException($"\"{command}\" ended with {exit}: {output}");
    }

    public static (int Exit, string Output) Try(string command)
    {
        using var process = Process.Start(new ProcessStartInfo("sh", ["-c", $"exec 2>&1; {command}"]) { RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    public static string Mode(string path) => Run($"stat -c %a '{path}'").Trim();
}
