using System.CommandLine;

using Whistle.Inventory;

namespace Whistle.Commands;

/// <summary>The clusters that are watched.</summary>
static class ClustersCommand
{
    const string Root = "api/whistle/v1/clusters";

    static readonly Argument<string> Id = new("id") { Description = "The label cluster of its telemetry." };
    static readonly Argument<string> NewName = new("name") { Description = "What it is called from now on." };
    static readonly Option<string> Tenant = new("--tenant") { Description = "Whose cluster it is.", DefaultValueFactory = _ => "default" };
    static readonly Option<string?> Having =
        new("--tenant") { Description = "Whose cluster it is; where it is not given, the only tenant that has it." };

    static readonly Option<string?> OfTenant = new("--tenant") { Description = "Those of this tenant alone." };
    static readonly string[] Header = ["TENANT", "CLUSTER", "NAME", "LABELS", "CONTACTS", "ADDED", "NOTES"];

    public static Command Build() => new("clusters", "Lists, adds and changes clusters.")
    {
        ServerConnection.With(new Command("list", "Lists the clusters.") { OfTenant, EntryOptions.Archived }.Lists(), ListAsync),
        ServerConnection.With(
            EntryOptions.WithName(new Command("add", "Adds a cluster to a tenant.") { Id, Tenant }),
            async (arguments, server, cancellation) =>
            {
                await server.PostAsync(
                    Root,
                    new
                    {
                        id = arguments.GetValue(Id),
                        tenant = arguments.GetValue(Tenant),
                        name = EntryOptions.NameOf(arguments),
                        contacts = EntryOptions.Contacts(arguments),
                        notes = EntryOptions.NotesOf(arguments),
                        labels = EntryOptions.Labels(arguments),
                    },
                    cancellation);
                Console.WriteLine($"Cluster {arguments.GetValue(Tenant)}/{arguments.GetValue(Id)} is added.");
            }),
        ServerConnection.With(new Command("show", "Shows a cluster.") { Id, Having }.Shows(), ShowAsync),
        ServerConnection.With(
            new Command("rename", "Gives a cluster another name; its id stays.") { Id, NewName, Having },
            async (arguments, server, cancellation) =>
            {
                var id = await IdOfAsync(arguments, server, cancellation);
                await server.PatchAsync(PathOf(id), new { name = arguments.GetValue(NewName) }, cancellation);
                Console.WriteLine($"Cluster {id} is called {arguments.GetValue(NewName)} now.");
            }),
        ServerConnection.With(
            EntryOptions.With(new Command("edit", "Changes contacts, notes and labels of a cluster.") { Id, Having }).ChangesSomething(),
            async (arguments, server, cancellation) =>
            {
                var id = await IdOfAsync(arguments, server, cancellation);
                await server.PatchAsync(PathOf(id), EntryOptions.Change(arguments), cancellation);
                Console.WriteLine($"Cluster {id} is changed.");
            }),
        Archive("archive", "Refuses telemetry and new senders of a cluster; its history stays.", "archived. Its senders are refused"),
        Archive("unarchive", "Unarchives a cluster.", "in use again. Its senders are heard"),
    };

    static Command Archive(string verb, string description, string done) =>
        ServerConnection.With(new Command(verb, description) { Id, Having }, async (arguments, server, cancellation) =>
        {
            var id = await IdOfAsync(arguments, server, cancellation);
            await server.PostAsync($"{PathOf(id)}/{verb}", null, cancellation);
            Console.WriteLine($"Cluster {id} is {done} within seconds.");
        });

    static async Task<ClusterId> IdOfAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var id = arguments.GetValue(Id)!;
        return new(
            arguments.GetValue(Having) ?? await ListedTenant.OfAsync(
                server, [Root, $"{Root}{EntryOptions.Query(("archived", "true"))}"], c => c.Text("id") == id, $"a cluster {id}",
                cancellation),
            id);
    }

    static string PathOf(ClusterId id) => $"{Root}/{ServerConnection.Part(id.Tenant)}/{ServerConnection.Part(id.Cluster)}";

    static async Task ListAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var archived = arguments.GetValue(EntryOptions.Archived);
        var query = EntryOptions.Query(("tenant", arguments.GetValue(OfTenant)), ("archived", archived ? "true" : null));
        var answer = await server.GetAsync($"{Root}{query}", cancellation);
        ListOutput.Write(arguments, answer, server.Now, view => new([.. Header, .. EntryOptions.ArchivedHeader(archived)],
        [
            .. answer.EnumerateArray().Select(c => (string[])
            [
                c.Text("tenant"), c.Text("id"), c.Text("name"), EntryOptions.Pairs(c), EntryOptions.Joined(c, "contacts"),
                c.Time("addedAt", view), c.Text("notes"), .. EntryOptions.ArchivedCells(c, archived, view),
            ]),
        ])
        {
            Wide = ["ADDED", "NOTES"],
            Spare = ["CONTACTS", "LABELS"],
            Empty = archived ? "No cluster is archived." : "There is no cluster yet. Add one with `whistle clusters add`, or enrol a node.",
        });
    }

    static async Task ShowAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var answer = await server.GetAsync(PathOf(await IdOfAsync(arguments, server, cancellation)), cancellation);
        JsonOutput.Write(arguments, answer, cluster => EntryOptions.Print(
            ("Cluster", $"{cluster.Text("tenant")}/{cluster.Text("id")}"), ("Name", cluster.Text("name")),
            ("Added", EntryOptions.History(cluster, View.Of(arguments, server.Now))),
            ("Contacts", EntryOptions.Joined(cluster, "contacts")), ("Labels", EntryOptions.Pairs(cluster)),
            ("Notes", cluster.Text("notes"))));
    }
}
