using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.InteropServices;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Secrets;

namespace Whistle.Actions.Programs;

/// <summary>How a program ended.</summary>
/// <param name="ExitCode">Null where it never ran or was killed.</param>
/// <param name="Cut">The output was longer than what was kept of it.</param>
/// <param name="Failure">Why there is no exit code, in a sentence.</param>
sealed record Ended(int? ExitCode, string Output, string Error, bool Cut, string? Failure)
{
    const int LongestShown = 300;

    public bool Well => ExitCode == 0;

    /// <summary>It was killed, so that what it did until then is not known.</summary>
    public bool Killed { get; init; }

    /// <summary>What it said last, for one that did not end well.</summary>
    public string Complaint(string program)
    {
        if (Failure is not null)
            return Failure;
        var said = Redaction.Redact((Error.Trim() is { Length: > 0 } error ? error : Output.Trim()).ReplaceLineEndings(" "), out _);
        return $"{program} ended with {ExitCode}"
            + (said.Length == 0 ? " and said nothing." : $": {(said.Length > LongestShown ? "…" + said[^LongestShown..] : said)}");
    }
}

/// <summary>
/// Runs a program of the node: arguments as a list that no shell reads, an environment of three variables, no input, bounded output, and a
/// session of its own, which is ended as a whole when the time is over. Only what root alone can write is run.
/// </summary>
static partial class NodeProgram
{
    const int MostError = 16 << 10;
    const int Terminate = 15;
    const int KillNow = 9;

    // For what was told to end, and for the output of what it left behind.
    static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    /// <param name="keepEnd">Of too long an output the last is kept instead of the first.</param>
    public static async Task<Ended> RunAsync(
        ActionContext context, string program, IReadOnlyList<string> arguments, CancellationToken cancellation, int most = 256 << 10,
        bool keepEnd = false)
    {
        if (cancellation.IsCancellationRequested)
            return NotRun(ActionReport.OutOfTime);
        if (Find(context, program, out var refusal) is not { } path || Find(context, "setsid", out refusal) is not { } session
            || WithUsualUmask(context, out refusal) is not { } first)
            return NotRun(refusal!);
        using var process = new Process { StartInfo = Start(context, [.. first, session, path, .. arguments]) };
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            return NotRun($"{path} could not be started: {e.Message}.");
        }

        process.StandardInput.Close();
        var output = new BoundedBytes(most, keepEnd);
        var error = new BoundedBytes(MostError, keepEnd: true);
        var reading = Task.WhenAll(output.FillAsync(process.StandardOutput.BaseStream), error.FillAsync(process.StandardError.BaseStream));
        var killed = !await EndedByItselfAsync(process, reading, cancellation).ConfigureAwait(false);
        return killed
            ? new Ended(null, output.Text(), error.Text(), output.Cut, $"{program} was ended. {ActionReport.OutOfTime}") { Killed = true }
            : new Ended(process.ExitCode, output.Text(), error.Text(), output.Cut, null);
    }

    /// <summary>The path of a program in the folders of the node's own programs, or null with the reason.</summary>
    public static string? Find(ActionContext context, string program, out string? refusal)
    {
        refusal = null;
        var candidates = program.StartsWith('/') ? [program] : context.ProgramFolders.Select(f => Path.Join(f, program));
        foreach (var path in candidates)
        {
            if (Native.StatFollowing(path, out var stat) != 0 || !stat.IsFile)
                continue;
            const int GroupOrWorldWritable = 0x12, Executable = 0x49;
            if (stat.Owner == 0 && (stat.Mode & GroupOrWorldWritable) == 0 && (stat.Mode & Executable) != 0)
                return path;
            refusal = $"{path} is not run, because others than root can write it, or nobody may execute it. "
                + $"Use: chown root {path}; chmod 0755 {path}.";
            return null;
        }

        refusal = $"{program} is not on this node"
            + (program.StartsWith('/') ? "." : $": it is in none of {string.Join(", ", context.ProgramFolders)}.");
        return null;
    }

    static Ended NotRun(string why) => new(null, "", "", false, why);

    // What a program of the node makes (a certificate, dpkg's lists) must have the mode that it has without the agent. Only a shell can set
    // that for one process; it becomes the program at once, and takes nothing from the arguments.
    static string[]? WithUsualUmask(ActionContext context, out string? refusal)
    {
        refusal = null;
        if (Umask.Before is not { } umask)
            return [];
        return Find(context, "sh", out refusal) is { } shell
            ? [shell, "-c", $"umask {Convert.ToString(umask, 8).PadLeft(4, '0')}; exec \"$@\"", "sh"] : null;
    }

    // setsid is no group leader when it starts, so it becomes the program itself and
    // keeps its id, which is then the id of session and group.
    static ProcessStartInfo Start(ActionContext context, IReadOnlyList<string> command)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1))
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = "/",
        };
        start.Environment.Clear();
        start.Environment["LC_ALL"] = "C";
        start.Environment["HOME"] = "/root";
        start.Environment["PATH"] = string.Join(':', context.ProgramFolders);
        return start;
    }

    static async Task<bool> EndedByItselfAsync(Process process, Task reading, CancellationToken cancellation)
    {
        try
        {
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            await EndAsync(process).ConfigureAwait(false);
            await reading.WaitAsync(Grace, TimeProvider.System, CancellationToken.None).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing);
            return false;
        }

        // A child that it left behind may hold its output open for ever; the program itself is done.
        await reading.WaitAsync(Grace, TimeProvider.System, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!reading.IsCompleted)
            _ = KillCall(-process.Id, KillNow);
        return true;
    }

    static async Task EndAsync(Process process)
    {
        using var grace = new CancellationTokenSource(Grace, TimeProvider.System);
        if (KillCall(-process.Id, Terminate) != 0)
            process.Kill();
        await process.WaitForExitAsync(grace.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        // The id of a group is not given away while it has members.
        _ = KillCall(-process.Id, KillNow);
        using var end = new CancellationTokenSource(Grace, TimeProvider.System);
        await process.WaitForExitAsync(end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int KillCall(int process, int signal);
}
