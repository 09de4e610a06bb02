using System.CommandLine;
using System.Text.Json;

using Whistle.Inventory;

namespace Whistle.Commands;

/// <summary>Whose clusters are watched.</summary>
static class TenantsCommand
{
    const string Root = "api/whistle/v1/tenants";

    static readonly Argument<string> Id = new("id") { Description = "The label tenant of its telemetry." };
    static readonly Argument<string> NewName = new("name") { Description = "What it is called from now on." };
    static readonly Option<int?> Series = new("--series") { Description = "Active series." };
    static readonly Option<int?> NewSeries = new("--new-series") { Description = "New series within an hour." };
    static readonly Option<int?> StoredSeries = new("--stored-series") { Description = "Series in the store." };
    static readonly Option<int?> Samples = new("--samples") { Description = "Samples a second." };
    static readonly Option<long?> Bytes = new("--bytes") { Description = "Bytes a second, as requests come over the wire." };
    static readonly Option<int?> RetentionDays = new("--retention-days")
    { Description = "Days that telemetry is kept; at most as many as the server's." };

    static readonly Option<bool> None = new("--none") { Description = "The server's own settings count." };

    static readonly string[] Header = ["TENANT", "NAME", "CONTACTS", "LABELS", "LIMITS", "ADDED", "NOTES"];

    public static Command Build() => new("tenants", "Lists, adds and changes tenants.")
    {
        ServerConnection.With(new Command("list", "Lists the tenants.") { EntryOptions.Archived }.Lists(), ListAsync),
        ServerConnection.With(EntryOptions.WithName(new Command("add", "Adds a tenant.") { Id }), async (arguments, server, cancellation) =>
        {
            var id = arguments.GetValue(Id)!;
            await server.PostAsync(
                Root,
                new
                {
                    id,
                    name = EntryOptions.NameOf(arguments),
                    contacts = EntryOptions.Contacts(arguments),
                    notes = EntryOptions.NotesOf(arguments),
                    labels = EntryOptions.Labels(arguments),
                },
                cancellation);
            Console.WriteLine($"Tenant {id} is added.");
        }),
        ServerConnection.With(new Command("show", "Shows a tenant, its clusters and who may see it.") { Id }.Shows(), ShowAsync),
        ServerConnection.With(
            new Command("rename", "Gives a tenant another name; its id stays.") { Id, NewName }, async (arguments, server, cancellation) =>
            {
                await server.PatchAsync(PathOf(arguments), new { name = arguments.GetValue(NewName) }, cancellation);
                Console.WriteLine($"Tenant {arguments.GetValue(Id)} is called {arguments.GetValue(NewName)} now.");
            }),
        ServerConnection.With(
            EntryOptions.With(new Command("edit", "Changes contacts, notes and labels of a tenant.") { Id }).ChangesSomething(),
            async (arguments, server, cancellation) =>
            {
                await server.PatchAsync(PathOf(arguments), EntryOptions.Change(arguments), cancellation);
                Console.WriteLine($"Tenant {arguments.GetValue(Id)} is changed.");
            }),
        Limit(),
        Archive("archive", "Refuses telemetry and new senders of a tenant; its history stays.", "archived. Its senders are refused"),
        Archive("unarchive", "Unarchives a tenant.", "in use again. Its senders are heard"),
    };

    static Command Limit()
    {
        var command = new Command(
            "limit", "Sets what a tenant may send, and how long it is kept. What is not given is the server's own setting.")
        { Id, Series, NewSeries, StoredSeries, Samples, Bytes, RetentionDays, None };
        command.Validators.Add(result =>
        {
            var isGiven = new Option[] { Series, NewSeries, StoredSeries, Samples, Bytes, RetentionDays }
                .Any(o => result.GetResult(o) is not null);
            if (isGiven == result.GetValue(None))
                result.AddError("Name the limits, or --none alone.");
        });
        return ServerConnection.With(command, async (arguments, server, cancellation) =>
        {
            await server.PutAsync(
                $"{PathOf(arguments)}/limits",
                new
                {
                    series = arguments.GetValue(Series),
                    newSeries = arguments.GetValue(NewSeries),
                    storedSeries = arguments.GetValue(StoredSeries),
                    samplesPerSecond = arguments.GetValue(Samples),
                    bytesPerSecond = arguments.GetValue(Bytes),
                    retentionDays = arguments.GetValue(RetentionDays),
                },
                cancellation);
            Console.WriteLine($"The limits of tenant {arguments.GetValue(Id)} are set. Every server counts with them within seconds.");
        });
    }

    static Command Archive(string verb, string description, string done) =>
        ServerConnection.With(new Command(verb, description) { Id }, async (arguments, server, cancellation) =>
        {
            await server.PostAsync($"{PathOf(arguments)}/{verb}", null, cancellation);
            Console.WriteLine($"Tenant {arguments.GetValue(Id)} is {done} within seconds.");
        });

    static string PathOf(ParseResult arguments) => $"{Root}/{ServerConnection.Part(arguments.GetValue(Id)!)}";

    static async Task ListAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var archived = arguments.GetValue(EntryOptions.Archived);
        var answer = await server.GetAsync($"{Root}{EntryOptions.Query(("archived", archived ? "true" : null))}", cancellation);
        ListOutput.Write(arguments, answer, server.Now, view => new([.. Header, .. EntryOptions.ArchivedHeader(archived)],
        [
            .. answer.EnumerateArray().Select(t => (string[])
            [
                t.Text("id"), t.Text("name"), EntryOptions.Joined(t, "contacts"), EntryOptions.Pairs(t), Limits(t),
                t.Time("addedAt", view), t.Text("notes"), .. EntryOptions.ArchivedCells(t, archived, view),
            ]),
        ])
        {
            Wide = ["ADDED", "NOTES"],
            Spare = ["LABELS", "CONTACTS"],
            Empty = archived ? "No tenant is archived." : "There is no tenant yet. Add one with `whistle tenants add`.",
        });
    }

    static async Task ShowAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var answer = await server.GetAsync(PathOf(arguments), cancellation);
        JsonOutput.Write(arguments, answer, shown =>
        {
            var (tenant, view) = (shown.GetProperty("tenant"), View.Of(arguments, server.Now));
            EntryOptions.Print(
                ("Tenant", tenant.Text("id")), ("Name", tenant.Text("name")), ("Added", EntryOptions.History(tenant, view)),
                ("Contacts", EntryOptions.Joined(tenant, "contacts")), ("Labels", EntryOptions.Pairs(tenant)),
                ("Limits", Limits(tenant) is { Length: > 0 } limits ? limits : "the server's own"),
                ("Clusters", string.Join(", ", shown.Items("clusters").Select(c => c.Text("id")))),
                ("Who may see it", string.Join(", ", shown.Items("viewers").Select(
                    v => $"{v.Text("name")} ({v.Text("role")} of {v.Text("where")})"))),
                ("Notes", tenant.Text("notes")));
        });
    }

    static string Limits(JsonElement tenant) => !tenant.TryGetProperty("limits", out var limits)
        || limits.ValueKind is not JsonValueKind.Object ? "" : string.Join(", ", limits.EnumerateObject()
            .Where(l => l.Value.ValueKind is JsonValueKind.Number).Select(l => $"{Words(l.Name)} {l.Value}"));

    static string Words(string name) => TenantLimits.Each.FirstOrDefault(l => l.Name == name).Words ?? name;
}
