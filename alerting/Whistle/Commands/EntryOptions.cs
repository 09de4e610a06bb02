using System.CommandLine;
using System.Text.Json;

using Whistle.Printing;

namespace Whistle.Commands;

/// <summary>What people write down about a tenant or a cluster, as verbs take and show it.</summary>
static class EntryOptions
{
    public static readonly Option<bool> Archived = new("--archived") { Description = "The archived ones instead of those in use." };

    static readonly Option<string?> Name = new("--name") { Description = "What it is called; the id if not given." };

    static readonly Option<string[]> Contact = new("--contact")
    { Description = "Whom to ask; may be given several times. Replaces all that are there; an empty one removes them." };

    static readonly Option<string?> Notes = new("--notes") { Description = "What else there is to know." };

    static readonly Option<string[]> Label = new("--label")
    { Description = "NAME=VALUE, such as zone=eu-1; may be given several times. Replaces all that are there; an empty one removes them." };

    public static Command WithName(Command command)
    {
        command.Options.Add(Name);
        return With(command);
    }

    public static Command With(Command command)
    {
        foreach (var option in new Option[] { Contact, Notes, Label })
            command.Options.Add(option);
        command.Validators.Add(result =>
        {
            if (result.GetValue(Label)?.FirstOrDefault(l => l.Length > 0 && l.IndexOf('=') < 1) is { } wrong)
                result.AddError($"\"{wrong}\" is no label. Write it like zone=eu-1.");
        });
        return command;
    }

    public static string? NameOf(ParseResult arguments) => arguments.GetValue(Name);

    public static List<string>? Contacts(ParseResult arguments) =>
        arguments.GetValue(Contact) is { Length: > 0 } given ? [.. given.Where(c => c.Length > 0)] : null;

    public static string? NotesOf(ParseResult arguments) => arguments.GetValue(Notes);

    public static Dictionary<string, string>? Labels(ParseResult arguments) => arguments.GetValue(Label) is not { Length: > 0 } given ? null
        : given.Where(l => l.Length > 0).Select(l => l.Split('=', 2)).DistinctBy(l => l[0]).ToDictionary(l => l[0], l => l[1]);

    public static object Change(ParseResult arguments) =>
        new { contacts = Contacts(arguments), notes = NotesOf(arguments), labels = Labels(arguments) };

    /// <summary>Refuses a change of nothing.</summary>
    public static Command ChangesSomething(this Command command)
    {
        command.Validators.Add(result =>
        {
            if (result.GetResult(Contact) is null && result.GetResult(Notes) is null && result.GetResult(Label) is null)
                result.AddError("Say what to change: --contact, --notes or --label.");
        });
        return command;
    }

    public static string Query(params ReadOnlySpan<(string Name, string? Value)> query)
    {
        List<string> parts = [];
        foreach (var (name, value) in query)
        {
            if (value is not null)
                parts.Add($"{name}={Uri.EscapeDataString(value)}");
        }

        return parts.Count == 0 ? "" : $"?{string.Join('&', parts)}";
    }

    public static string Joined(JsonElement of, string name) =>
        string.Join(", ", of.Items(name).Select(c => Printable.Of(c.ToString())));

    public static string Pairs(JsonElement of) =>
        of.TryGetProperty("labels", out var labels) && labels.ValueKind is JsonValueKind.Object ? JsonFields.Pairs(labels) : "";

    /// <summary>Lines of names and texts; what is empty is left out.</summary>
    public static void Print(params ReadOnlySpan<(string Name, string Text)> lines)
    {
        var width = 0;
        foreach (var (name, text) in lines)
            width = text.Length > 0 ? Math.Max(width, name.Length) : width;
        foreach (var (name, text) in lines)
        {
            if (text.Length > 0)
                ConsoleTable.WriteParagraph(name.PadRight(width + 2), text);
        }
    }

    /// <summary>What a list of archived ones has more.</summary>
    public static string[] ArchivedHeader(bool archived) => archived ? ["ARCHIVED", "BY"] : [];

    // A cluster may be archived by its tenant alone, and what one may not see of it is left out.
    public static string[] ArchivedCells(JsonElement of, bool archived, View view) =>
        archived ? [of.Time("archivedAt", view), of.Text("archivedBy")] : [];

    public static string History(JsonElement of, View view)
    {
        var by = of.Text("source") is "enrolment" ? "by the first enrolment" : $"by {of.Text("addedBy")}";
        var archived = of.Time("archivedAt") is { } at ? $"; archived {view.Time(at)} by {of.Text("archivedBy")}" : "";
        return $"{of.Time("addedAt", view)} {by}{archived}";
    }
}
