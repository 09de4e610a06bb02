using System.Collections.Frozen;

namespace Whistle.Detectors.Evaluation;

/// <summary>Which of node_exporter's collectors a metric comes from, by the word after <c>node_</c>.</summary>
static class Collectors
{
    static readonly FrozenDictionary<string, string> ByWord = new Dictionary<string, string>
    {
        ["arp"] = "arp",
        ["bonding"] = "bonding",
        ["boot"] = "stat",
        ["btrfs"] = "btrfs",
        ["context"] = "stat",
        ["cooling"] = "thermal_zone",
        ["cpu"] = "cpu",
        ["disk"] = "diskstats",
        ["dmi"] = "dmi",
        ["edac"] = "edac",
        ["entropy"] = "entropy",
        ["filefd"] = "filefd",
        ["filesystem"] = "filesystem",
        ["forks"] = "stat",
        ["hwmon"] = "hwmon",
        ["intr"] = "stat",
        ["load1"] = "loadavg",
        ["load5"] = "loadavg",
        ["load15"] = "loadavg",
        ["md"] = "mdadm",
        ["memory"] = "meminfo",
        ["netstat"] = "netstat",
        ["network"] = "netdev",
        ["nf"] = "conntrack",
        ["nvme"] = "nvme",
        ["os"] = "os",
        ["power"] = "powersupplyclass",
        ["pressure"] = "pressure",
        ["procs"] = "stat",
        ["schedstat"] = "schedstat",
        ["sockstat"] = "sockstat",
        ["softnet"] = "softnet",
        ["systemd"] = "systemd",
        ["textfile"] = "textfile",
        ["thermal"] = "thermal_zone",
        ["time"] = "time",
        ["timex"] = "timex",
        ["udp"] = "udp_queues",
        ["uname"] = "uname",
        ["vmstat"] = "vmstat",
        ["xfs"] = "xfs",
        ["zfs"] = "zfs",
    }.ToFrozenDictionary();

    /// <summary>The collector, or null for a metric that none of them makes.</summary>
    public static string? Of(string metric)
    {
        if (!metric.StartsWith("node_", StringComparison.Ordinal))
            return null;
        var rest = metric.AsSpan(5);
        var end = rest.IndexOf('_');
        return ByWord.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(end < 0 ? rest : rest[..end], out var collector) ? collector : null;
    }
}
