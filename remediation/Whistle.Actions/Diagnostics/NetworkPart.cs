using System.Globalization;
using System.Net;
using System.Text;

namespace Whistle.Actions.Diagnostics;

/// <summary>Addresses, routes, counters of the interfaces and how many sockets there are in which state.</summary>
static class NetworkPart
{
    const int MostLines = 200;

    // linux/net/tcp_states.h, from 1 on.
    static readonly string[] States =
    [
        "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN",
        "CLOSING", "NEW_SYN_RECV",
    ];

    public static string Read(string proc)
    {
        var text = new StringBuilder();
        Section(text, "addresses", Addresses4(proc).Concat(Addresses6(proc)).Distinct());
        Section(text, "routes (IPv4)", Routes(proc));
        Section(text, "interfaces", ProcText.Lines(ProcText.Network(proc, "dev")).Select(l => l.Trim()));
        Section(text, "tcp sockets", Sockets(proc));
        Section(
            text, "socket memory",
            ProcText.Lines(ProcText.Network(proc, "sockstat")).Concat(ProcText.Lines(ProcText.Network(proc, "sockstat6"))));
        Section(text, "tcp and udp counters", ProcText.Lines(ProcText.Network(proc, "snmp")).Where(
            l => l.StartsWith("Tcp:", StringComparison.Ordinal) || l.StartsWith("Udp:", StringComparison.Ordinal)));
        return text.ToString();
    }

    static void Section(StringBuilder text, string name, IEnumerable<string> lines)
    {
        text.Append("# ").Append(name).Append('\n');
        var count = 0;
        foreach (var line in lines)
        {
            if (++count <= MostLines)
                text.Append(line).Append('\n');
        }

        if (count > MostLines)
            text.Append($"… {count - MostLines} more\n");
    }

    // In the trie each local address is a leaf, "|-- 10.0.0.1", with "/32 host LOCAL" below it.
    static IEnumerable<string> Addresses4(string proc)
    {
        var leaf = "";
        foreach (var line in ProcText.Lines(ProcText.Network(proc, "fib_trie")))
        {
            var at = line.IndexOf("|-- ", StringComparison.Ordinal);
            if (at >= 0)
                leaf = line[(at + 4)..].Trim();
            else if (line.Contains("/32 host LOCAL", StringComparison.Ordinal) && leaf.Length > 0)
                yield return leaf;
        }
    }

    // "fe80…(32 digits) index prefix scope flags name"
    static IEnumerable<string> Addresses6(string proc) => ProcText.Lines(ProcText.Network(proc, "if_inet6"))
        .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(f => f.Length == 6 && f[0].Length == 32 && f[0].All(char.IsAsciiHexDigit) && Hex(f[2]) is not null)
        .Select(f => $"{new IPAddress(Convert.FromHexString(f[0]))}/{Hex(f[2])} {f[5]}");

    // "Iface Destination Gateway Flags RefCnt Use Metric Mask …", the addresses as numbers in the machine's own order.
    static IEnumerable<string> Routes(string proc) => ProcText.Lines(ProcText.Network(proc, "route")).Skip(1)
        .Select(l => l.Split('\t', StringSplitOptions.TrimEntries))
        .Where(f => f.Length > 7 && Hex(f[1]) is not null && Hex(f[2]) is not null && Hex(f[7]) is not null)
        .Select(f => $"{Address(f[1])}/{BitCount(f[7])} {(Hex(f[2]) == 0 ? "" : $"via {Address(f[2])} ")}dev {f[0]} metric {f[6]}");

    static IEnumerable<string> Sockets(string proc)
    {
        foreach (var name in (string[])["tcp", "tcp6"])
        {
            var states = ProcText.Lines(ProcText.Network(proc, name)).Skip(1)
                .Select(l => l.Split(' ', 5, StringSplitOptions.RemoveEmptyEntries)).Where(f => f.Length > 3).GroupBy(f => f[3])
                .OrderByDescending(g => g.Count())
                .Select(g => $"{g.Count()} {(Hex(g.Key) is >= 1 and <= 12 and var state ? States[(int)state - 1] : g.Key)}");
            yield return $"{name}: {string.Join(", ", states)}";
        }
    }

    static IPAddress Address(string hex) => new(BitConverter.GetBytes(Hex(hex)!.Value));

    static int BitCount(string hex) => System.Numerics.BitOperations.PopCount(Hex(hex)!.Value);

    static uint? Hex(string text) =>
        uint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value) ? value : null;
}
