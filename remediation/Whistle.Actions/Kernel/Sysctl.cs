using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Kernel;

/// <summary>What changed, or would.</summary>
/// <param name="Was">Before; <see cref="RestoreSysctl"/> takes it as its <c>value</c>.</param>
/// <param name="Is">After, read back; <see cref="RestoreSysctl"/> takes it as its <c>expected</c>.</param>
/// <param name="Limit">The policy's cap, or what it may not be set back below.</param>
/// <param name="InUse">How much of it is taken, where the kernel tells.</param>
sealed record SysctlReport(bool DryRun, string Name, long Was, long Is, long Limit, long? InUse);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(SysctlReport))]
sealed partial class SysctlJson : JsonSerializerContext;

/// <summary>A kernel limit of one whole number, below <c>/proc/sys</c>. It holds until the node restarts.</summary>
sealed class Sysctl(ActionContext context, string name)
{
    string Path => System.IO.Path.Join(context.ProcPath, "sys", name.Replace('.', '/'));

    /// <summary>Null, with the reason, where it is not there or no single whole number.</summary>
    public long? Read(out string? refusal)
    {
        refusal = null;
        try
        {
            if (long.TryParse(File.ReadAllText(Path).AsSpan().Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var value))
                return value;
            refusal = $"{name} is not a single whole number, so it cannot be raised.";
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            refusal = $"This kernel has no {name}; the module that brings it may not be loaded.";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            refusal = $"{name} cannot be read: {e.Message}";
        }

        return null;
    }

    /// <summary>Null, or why the value is not what it was set to.</summary>
    public string? Write(long value)
    {
        try
        {
            // Never creates: a limit that is not there must not become a file.
            using var file = new FileStream(Path, FileMode.Truncate, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            file.Write(System.Text.Encoding.ASCII.GetBytes(FormattableString.Invariant($"{value}\n")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"{name} could not be set to {value}: {e.Message}";
        }

        var now = Read(out var refusal);
        return now == value ? null : refusal ?? $"{name} was set to {value}, but the kernel made {now} of it.";
    }

    /// <summary>Says what it is after a write that failed, since that may be neither the old value nor the new one.</summary>
    public ActionReport Failed(string failure, long was, long limit) => NodeWork.Report(
        CommandOutcome.Failed, failure, new SysctlReport(false, name, was, Read(out _) ?? was, limit, InUse()),
        SysctlJson.Default.SysctlReport);

    /// <summary>How much of the limit is taken, or null where that is not known for it.</summary>
    public long? InUse() => name switch
    {
        "net.netfilter.nf_conntrack_max" => Field("sys/net/netfilter/nf_conntrack_count", text => text),
        "fs.file-max" => Field("sys/fs/file-nr", text => text.Split('\t')[0]),
        // "0.20 0.18 0.12 1/80 11206": runnable and all threads.
        "kernel.pid_max" or "kernel.threads-max" => Field("loadavg", text => text.Split(' ', '/') is { Length: > 4 } f ? f[4] : ""),
        _ => null,
    };

    long? Field(string path, Func<string, string> pick)
    {
        try
        {
            return long.TryParse(
                pick(File.ReadAllText(System.IO.Path.Join(context.ProcPath, path)).Trim()), NumberStyles.None, CultureInfo.InvariantCulture,
                out var value)
                ? value : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
