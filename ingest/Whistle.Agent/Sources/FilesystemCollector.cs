using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

using Whistle.Agent.Linux;
using Whistle.Agent.Reporting;
using Whistle.Telemetry;

namespace Whistle.Agent.Sources;

/// <summary>Space and inodes of every mounted file system that node_exporter 1.5 shows by default.</summary>
sealed partial class FilesystemCollector(HostFile proc, string root, MountProbe probe) : IReportSource
{
    static readonly FrozenSet<string> ExcludedTypes = FrozenSet.Create(
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "fusectl", "hugetlbfs",
        "iso9660", "mqueue", "nsfs", "overlay", "proc", "procfs", "pstore", "rpc_pipefs", "securityfs", "selinuxfs", "squashfs",
        "sysfs", "tracefs");

    const string DeviceError = "node_filesystem_device_error";
    const string ReadOnly = "node_filesystem_readonly";

    static readonly string[] UsageMetrics =
    [
        "node_filesystem_size_bytes", "node_filesystem_free_bytes", "node_filesystem_avail_bytes", "node_filesystem_files",
        "node_filesystem_files_free",
    ];

    // Empty for "/", so that paths can be put behind it.
    readonly string _root = root.TrimEnd('/');
    readonly Names _names = new();
    readonly List<Mount> _mounts = [];

    public SourceDescription Description { get; } = new() { Name = "filesystem", Sends = [DeviceError, ReadOnly, .. UsageMetrics] };

    [ModuleInitializer]
    internal static void Add() => HostSources.Add(options => new FilesystemCollector(
        new HostFile(options.ProcPath), options.RootPath, MountProbe.OfHost()));

    public void Collect(SeriesSet series)
    {
        ReadMounts();
        foreach (var (mount, usage) in probe.Ask(_mounts))
            Add(series, mount, usage);
    }

    static void Add(SeriesSet series, Mount mount, Usage? usage)
    {
        ReadOnlySpan<Label> labels =
            [new("device", mount.Device), new("fstype", mount.Type), new("mountpoint", mount.Point)];
        series.Add(DeviceError, usage is null ? 1 : 0, labels);
        series.Add(ReadOnly, mount.ReadOnly ? 1 : 0, labels);
        ReadOnlySpan<double> values = usage is { } u ? [u.Size, u.Free, u.Available, u.Files, u.FilesFree] : [];
        for (var i = 0; i < UsageMetrics.Length; i++)
        {
            // A mount that does not answer is still there; its usage is unknown, not gone.
            if (usage is null)
                series.Hold(UsageMetrics[i], labels);
            else
                series.Add(UsageMetrics[i], values[i], labels);
        }
    }

    // Process 1 sees the host's mounts, also where the agent runs in a mount namespace of its own.
    void ReadMounts()
    {
        _mounts.Clear();
        ReadOnlySpan<byte> text;
        try
        {
            text = proc.Read("1/mounts");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            text = proc.Read("self/mounts");
        }

        var lines = new Lines(text);
        while (lines.Next(out var line))
        {
            if (Parse(line) is { } mount)
                _mounts.Add(mount);
        }
    }

    Mount? Parse(ReadOnlySpan<byte> line)
    {
        var fields = new Fields(line);
        var device = fields.Next();
        var point = fields.Next();
        var type = _names.Of(fields.Next());
        if (type.Length == 0 || ExcludedTypes.Contains(type))
            return null;
        var path = WithoutRoot(Unescape(point));
        if (ExcludedPoints.IsMatch(path))
            return null;
        return new Mount(Unescape(device), path, type, IsReadOnly(fields.Next()), _root + path);
    }

    // Inside a container that has the host's root at --rootfs, the mounts under it are named as the host names them.
    string WithoutRoot(string point)
    {
        if (_root.Length == 0 || !point.StartsWith(_root, StringComparison.Ordinal))
            return point;
        return point.Length == _root.Length ? "/" : point[_root.Length] == '/' ? point[_root.Length..] : point;
    }

    static bool IsReadOnly(ReadOnlySpan<byte> options)
    {
        foreach (var option in options.Split((byte)','))
        {
            if (options[option].SequenceEqual("ro"u8))
                return true;
        }

        return false;
    }

    // The kernel writes blank, tab, line break and backslash as a backslash with three octal digits.
    string Unescape(ReadOnlySpan<byte> text)
    {
        var escaped = text.IndexOf((byte)'\\');
        if (escaped < 0)
            return _names.Of(text);
        var plain = new List<byte>(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 3 < text.Length && Octal(text.Slice(i + 1, 3)) is { } c)
            {
                plain.Add(c);
                i += 3;
            }
            else
                plain.Add(text[i]);
        }

        return Encoding.UTF8.GetString([.. plain]);
    }

    static byte? Octal(ReadOnlySpan<byte> digits)
    {
        var value = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'7')
                return null;
            value = value * 8 + (digit - '0');
        }

        return value < 256 ? (byte)value : null;
    }

    [GeneratedRegex(
        @"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)", RegexOptions.CultureInvariant)]
    static partial Regex ExcludedPoints { get; }
}
