using System.Globalization;
using System.Text;

using Whistle.Actions.Secrets;

namespace Whistle.Actions.Diagnostics;

/// <summary>The processes, those with the most memory first.</summary>
static class ProcessPart
{
    const int MostProcesses = 400;
    const int LongestCommand = 200;

    // Fields of /proc/PID/stat behind the name, counted from the state; proc(5).
    const int State = 0, Parent = 1, UserTime = 11, SystemTime = 12, Threads = 17, Resident = 21;

    sealed record Found(int Id, string[] Stat, string Name, long Pages);

    public static string Read(string proc, CancellationToken cancellation)
    {
        var all = new List<Found>();
        foreach (var folder in Directory.EnumerateDirectories(proc))
        {
            if (cancellation.IsCancellationRequested)
                break;
            if (int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && Stat(folder, id) is { } found)
                all.Add(found);
        }

        var states = all.GroupBy(p => p.Stat[State]).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => $"{g.Count()} {g.Key}");
        var text = new StringBuilder(
            $"{all.Count} processes: {string.Join(", ", states)}\nPID PPID STATE RSS_KIB THREADS CPU_TICKS COMMAND\n");
        foreach (var p in all.OrderByDescending(p => p.Pages).ThenBy(p => p.Id).Take(MostProcesses))
        {
            text.Append(p.Id).Append(' ').Append(p.Stat[Parent]).Append(' ').Append(p.Stat[State]).Append(' ')
                .Append(p.Pages * Environment.SystemPageSize / 1024).Append(' ').Append(p.Stat[Threads]).Append(' ')
                .Append(Number(p.Stat[UserTime]) + Number(p.Stat[SystemTime])).Append(' ')
                .Append(Command(Path.Join(proc, p.Id.ToString(CultureInfo.InvariantCulture)), p.Name)).Append('\n');
        }

        return text.ToString();
    }

    // "7 (name) S 1 …", where the name may have spaces and brackets.
    static Found? Stat(string folder, int id)
    {
        if (ProcText.Read(Path.Join(folder, "stat")) is not { } text || text.LastIndexOf(')') is not (> 0 and var end)
            || text.IndexOf('(') is not (>= 0 and var start))
            return null;
        var fields = text[(end + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return fields.Length > Resident && end > start ? new Found(id, fields, text[(start + 1)..end], Number(fields[Resident])) : null;
    }

    // What the kernel runs, which a process cannot rename as it can its command line; in a
    // proc that has no such link, what it was called with.
    static string Command(string folder, string name)
    {
        var line = ProcText.Read(Path.Join(folder, "cmdline")) ?? "";
        var arguments = line.TrimEnd('\0').Split('\0');
        var program = Executable(folder) ?? (arguments[0].StartsWith('/') ? CommandLine.Program(arguments[0]) : null);
        var text = CommandLine.Show(program ?? $"[{Plain(name)}]", line.Length == 0 ? [] : arguments.Skip(1));
        return text.Length > LongestCommand ? text[..LongestCommand] + "…" : text;
    }

    static string? Executable(string folder)
    {
        try
        {
            return File.ResolveLinkTarget(Path.Join(folder, "exe"), returnFinalTarget: false)?.FullName is { } target
                ? CommandLine.Program(target) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A thread of the kernel, or another user's.
            return null;
        }
    }

    // A process may call itself as it likes, in 15 bytes.
    static string Plain(string name) => Redaction.Redact(string.Concat(name.Select(c => char.IsControl(c) ? ' ' : c)), out _);

    static long Number(string text) => long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0;
}
