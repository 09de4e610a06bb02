using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.Inventory;
using Whistle.Web.Text;

namespace Whistle.Commands;

/// <summary>Nodes, what is known of their agents, and which of them are out of service.</summary>
static class NodesCommand
{
    const string Root = "api/whistle/v1/nodes";

    static readonly Argument<string> Node = new("node") { Description = "Its name in the cluster." };
    static readonly Option<string> Cluster = new("--cluster") { Description = "The cluster.", Required = true };
    static readonly Option<string?> Tenant =
        new("--tenant") { Description = "Whose cluster it is; where it is not given, the only tenant that has the node." };

    static readonly Option<string?> OfCluster = new("--cluster") { Description = "Those of this cluster alone." };
    static readonly Option<string?> OfTenant = new("--tenant") { Description = "Those of this tenant alone." };

    static readonly string[] Header = ["TENANT", "CLUSTER", "NODE", "REPORT", "VERSION", "CLOCK", "CREDENTIAL ENDS", "NOTE", "ENROLLED"];

    public static Command Build() => new("nodes", "Lists nodes with their agents, and takes them out of service.")
    {
        ServerConnection.With(
            new Command("list", "Lists the nodes in service.") { OfTenant, OfCluster, EntryOptions.Archived }.Lists(), ListAsync),
        ServerConnection.With(new Command("show", "Shows a node.") { Node, Cluster, Tenant }.Shows(), ShowAsync),
        ServerConnection.With(
            new Command("archive", "Takes a node out of service: its silence raises no signal, and its history stays.")
            { Node, Cluster, Tenant },
            async (arguments, server, cancellation) =>
            {
                var id = await IdOfAsync(arguments, server, cancellation);
                await server.PostAsync($"{PathOf(id)}/archive", null, cancellation);
                Console.WriteLine($"Node {id} is archived. Its reports are refused within seconds; stop its agent.");
            }),
        ServerConnection.With(
            new Command("unarchive", "Unarchives a node.") { Node, Cluster, Tenant }, UnarchiveAsync),
    };

    static async Task UnarchiveAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var id = await IdOfAsync(arguments, server, cancellation);
        // As soon as it is not archived, one without a credential is no node any more.
        var node = await server.GetAsync(PathOf(id), cancellation);
        await server.PostAsync($"{PathOf(id)}/unarchive", null, cancellation);
        var lacks = node.Time("enrolledAt") is null ? "has no credential"
            : node.Time("credentialEndsAt") <= server.Now ? "its credential has ended" : null;
        Console.WriteLine(lacks is null ? $"Node {id} is in service again." : $"Node {id} is unarchived, but {lacks}: enrol it with "
            + $"`whistle agents join-token --cluster {id.Cluster} --tenant {id.Tenant} --replace`.");
    }

    static async Task<NodeId> IdOfAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var (cluster, node) = (arguments.GetValue(Cluster)!, arguments.GetValue(Node)!);
        return new(
            arguments.GetValue(Tenant) ?? await ListedTenant.OfAsync(
                server,
                [
                    $"{Root}{EntryOptions.Query(("cluster", cluster))}",
                    $"{Root}{EntryOptions.Query(("cluster", cluster), ("archived", "true"))}",
                ],
                n => n.Text("node") == node, $"a node {node} in a cluster {cluster}", cancellation),
            cluster, node);
    }

    static string PathOf(NodeId id) =>
        $"{Root}/{ServerConnection.Part(id.Tenant)}/{ServerConnection.Part(id.Cluster)}/{ServerConnection.Part(id.Node)}";

    static async Task ListAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var archived = arguments.GetValue(EntryOptions.Archived);
        var query = EntryOptions.Query(
            ("tenant", arguments.GetValue(OfTenant)), ("cluster", arguments.GetValue(OfCluster)), ("archived", archived ? "true" : null));
        var answer = await server.GetAsync($"{Root}{query}", cancellation);
        ListOutput.Write(arguments, answer, server.Now, view => new(Header, [.. answer.EnumerateArray().Select(n => new[]
        {
            n.Text("tenant"), n.Text("cluster"), n.Text("node"), n.Time("reportedAt", view), n.Text("version"), Clock(n, view),
            n.Clock("credentialEndsAt", view), Note(n, view), n.Time("enrolledAt", view),
        })])
        {
            Wide = ["ENROLLED"],
            Spare = ["CLOCK", "VERSION"],
            Empty = archived ? "No node is archived." : "No node is in service. Enrol one with `whistle agents join-token`.",
        });
    }

    static async Task ShowAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var answer = await server.GetAsync(PathOf(await IdOfAsync(arguments, server, cancellation)), cancellation);
        JsonOutput.Write(arguments, answer, node =>
        {
            var view = View.Of(arguments, server.Now);
            EntryOptions.Print(
                ("Node", $"{node.Text("tenant")}/{node.Text("cluster")}/{node.Text("node")}"), ("Enrolled", node.Time("enrolledAt", view)),
                ("Last report", node.Time("reportedAt", view)), ("Agent", node.Text("version")), ("Clock", Clock(node, view)),
                ("Credential", node.Time("credentialEndsAt") is null ? "has no end" : $"ends {node.Clock("credentialEndsAt", view)}"),
                ("Note", Note(node, view)));
        });
    }

    static string Clock(JsonElement node, View view) =>
        !double.TryParse(node.Text("clockSkewSeconds"), CultureInfo.InvariantCulture, out var skew) ? ""
        : view.Raw ? skew.ToString("0.###", CultureInfo.InvariantCulture)
        : Quantity.ClockSkew(TimeSpan.FromSeconds(skew));

    static string Note(JsonElement node, View view) =>
        node.Time("archivedAt") is { } at ? $"archived {view.Time(at)} by {node.Text("archivedBy")}"
        : node.Time("credentialEndsAt") <= view.Now ? "its credential has ended: enrol it again"
        : node.Text("renewalDue") is "True" ? "its credential is due for renewal"
        : double.TryParse(node.Text("clockSkewSeconds"), CultureInfo.InvariantCulture, out var skew)
            && Math.Abs(skew) > NodeSighting.LargestSkew.TotalSeconds ? "its clock is wrong" : "";
}
