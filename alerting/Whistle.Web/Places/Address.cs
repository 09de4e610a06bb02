using Whistle.Inventory;

namespace Whistle.Web.Places;

/// <summary>Where things are shown. Any name travels there and back, whatever it holds.</summary>
public static class Address
{
    public const string Fleet = "/";
    public const string Incidents = "/incidents";
    public const string Tickets = "/tickets";
    public const string Tenants = "/tenants";
    public const string Audit = "/audit";

    /// <summary>Of whoever is logged in.</summary>
    public const string Account = "/account";

    /// <summary>Ends the session, by POST.</summary>
    public const string Logout = "/logout";

    public static string Cluster(ClusterId cluster) => $"/clusters/{Part(cluster.Tenant)}/{Part(cluster.Cluster)}";

    public static string Node(NodeId node) => $"/nodes/{Part(node.Tenant)}/{Part(node.Cluster)}/{Part(node.Node)}";

    public static string Tenant(string id) => $"{Tenants}/{Part(id)}";

    public static string Incident(string id) => $"{Incidents}/{Part(id)}";

    public static string Ticket(long id) => $"{Tickets}/{id}";

    /// <summary>A part of a path as it was before <see cref="Part"/>.</summary>
    public static string Name(string? part) => part is null or Empty ? "" : part.Replace("%2F", "/", StringComparison.Ordinal);

    /// <summary>With the parameters that are not null or empty.</summary>
    public static string With(string path, params ReadOnlySpan<(string Name, string? Value)> query)
    {
        List<string> parts = [];
        foreach (var (name, value) in query)
        {
            if (!string.IsNullOrEmpty(value))
                parts.Add($"{name}={Uri.EscapeDataString(value)}");
        }

        return parts.Count == 0 ? path : $"{path}?{string.Join('&', parts)}";
    }

    // An empty part would be no part of a path; servers and browsers take a slash inside a part apart unless it is escaped twice.
    const string Empty = "~";

    static string Part(string name) => name.Length == 0 ? Empty : Uri.EscapeDataString(name.Replace("/", "%2F", StringComparison.Ordinal));
}
