using Microsoft.AspNetCore.Http;

namespace Whistle.Web.Fleet;

/// <summary>The page's state, all of it in its address: <c>?range=24h&amp;node=tenant/cluster/node&amp;mount=/data</c>.</summary>
public sealed record FleetQuery(ChartRange Range, NodeKey? Node = null, string? Mount = null)
{
    public static readonly FleetQuery Default = new(ChartRange.All[1]);

    /// <summary>What cannot be read is as if it was not given: an old bookmark still opens.</summary>
    public static FleetQuery Read(IQueryCollection query) => new(
        ChartRange.All.FirstOrDefault(r => r.Name == query["range"]) ?? Default.Range,
        NodeKey.Parse(query["node"]),
        query["mount"].ToString() is { Length: > 0 } mount ? mount : null);

    public string Address
    {
        get
        {
            List<string> parts = [];
            if (Node is { } node)
                parts.Add($"node={node.Address}");
            if (Mount is not null)
                parts.Add($"mount={Uri.EscapeDataString(Mount)}");
            if (Range != Default.Range)
                parts.Add($"range={Range.Name}");
            return parts.Count == 0 ? "/" : $"/?{string.Join('&', parts)}";
        }
    }
}

/// <summary>How far back charts show.</summary>
public sealed record ChartRange(string Name, string Words, TimeSpan Length, TimeSpan Tick)
{
    const int Points = 240;

    public static readonly IReadOnlyList<ChartRange> All =
    [
        new("1h", "last hour", TimeSpan.FromHours(1), TimeSpan.FromMinutes(15)),
        new("6h", "last 6 hours", TimeSpan.FromHours(6), TimeSpan.FromHours(2)),
        new("24h", "last 24 hours", TimeSpan.FromHours(24), TimeSpan.FromHours(6)),
        new("7d", "last 7 days", TimeSpan.FromDays(7), TimeSpan.FromDays(1)),
    ];

    /// <summary>Milliseconds between two points of a chart.</summary>
    public long Step => (long)Length.TotalMilliseconds / Points;
}
