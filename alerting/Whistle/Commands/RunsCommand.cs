using System.CommandLine;
using System.Text.Json;

using Whistle.Web;

namespace Whistle.Commands;

/// <summary>What Whistle does about what is broken.</summary>
static class RunsCommand
{
    const string Root = "api/whistle/v1/runs";

    static readonly Argument<string> Id = new("id") { Description = "The run." };
    static readonly Option<bool> All = new("--all") { Description = "Lists also those that ended in the last 24 hours." };
    static readonly Option<string> Plan = new("--plan") { Description = "The hash of the plan that you have seen (`whistle runs show`).", Required = true };
    static readonly Option<string> For = new("--for") { Description = "How long the approval holds.", DefaultValueFactory = _ => "1h" };
    static readonly Option<string> Reason = new("--reason") { Description = "Why, for whoever wonders later.", Required = true };

    static readonly Option<string?> ApprovedStep = new("--step") { Description = "The step that asks for a yes of its own; the plan unless given." };
    static readonly Argument<string> Task = new("step") { Description = "The step that a person is to do." };
    static readonly Option<string> Note = new("--note") { Description = "What was done, for whoever wonders later.", Required = true };

    static readonly string[] GateHeader = ["GATE", "SAYS", "NOTED AGAIN", "WHY"];
    static readonly string[] StepHeader = ["OUTCOME", "STEP", "ACTION", "ENDED", "SUMMARY"];

    public static Command Build() => new("runs", "Lists, shows, explains, approves and cancels repairs, and tells them what people have done.")
    {
        ServerConnection.With(new Command("list", "Lists the repairs that go on; those that wait for you first.") { All, JsonOutput.Option }, async (arguments, server, cancellation) =>
            JsonOutput.Write(arguments, await server.GetAsync($"{Root}?since={(arguments.GetValue(All) ? "24h" : "0s")}", cancellation), runs => PrintAll(runs, server.Now))),
        ServerConnection.With(new Command("show", "Shows a repair with its plan, its steps and its timeline.") { Id, JsonOutput.Option }, async (arguments, server, cancellation) =>
            JsonOutput.Write(arguments, await server.GetAsync(PathOf(arguments), cancellation), run => PrintOne(run, server.Now))),
        ServerConnection.With(new Command("explain", "Says why nothing happens now, when that is looked at again, and what every gate says.") { Id, JsonOutput.Option }, async (arguments, server, cancellation) =>
            JsonOutput.Write(arguments, await server.GetAsync($"{PathOf(arguments)}/explain", cancellation), run => PrintExplanation(run, server.Now))),
        ServerConnection.With(new Command("approve", "Says yes to a repair's plan, as it is now.") { Id, Plan, For, ApprovedStep }, async (arguments, server, cancellation) =>
        {
            var approval = await server.PostAsync($"{PathOf(arguments)}/approve", new { planHash = arguments.GetValue(Plan), @for = arguments.GetValue(For), step = arguments.GetValue(ApprovedStep) }, cancellation);
            Console.WriteLine($"Approved until {approval.Time("until"):u}.");
        }),
        ServerConnection.With(new Command("done", "Says that what a step asked of a person is done.") { Id, Task, Note }, async (arguments, server, cancellation) =>
        {
            await server.PostAsync($"{PathOf(arguments)}/tasks/{Uri.EscapeDataString(arguments.GetValue(Task)!)}", new { note = arguments.GetValue(Note) }, cancellation);
            Console.WriteLine($"The step {arguments.GetValue(Task)} of run {arguments.GetValue(Id)} is done.");
        }),
        ServerConnection.With(new Command("cancel", "Calls a repair off. What has begun on the node is waited for; its runbook does not begin again in this incident.") { Id, Reason }, async (arguments, server, cancellation) =>
        {
            await server.PostAsync($"{PathOf(arguments)}/cancel", new { reason = arguments.GetValue(Reason) }, cancellation);
            Console.WriteLine($"Run {arguments.GetValue(Id)} is called off.");
        }),
    };

    static string PathOf(ParseResult arguments) => $"{Root}/{Uri.EscapeDataString(arguments.GetValue(Id)!)}";

    static void PrintAll(JsonElement runs, DateTimeOffset now)
    {
        if (runs.GetArrayLength() == 0)
            Console.WriteLine("No repair goes on. With --all, those that ended in the last 24 hours are listed too.");
        else
            ConsoleTable.Write(RunRows.Header, RunRows.Of(runs, now), RunRows.Details, StateColours.Of);
    }

    static void PrintExplanation(JsonElement run, DateTimeOffset now)
    {
        ConsoleTable.WriteParagraph("", run.Text("explanation"));
        ConsoleTable.WriteSection("Gates", GateHeader, run.Items("gates").Select(g => new[]
        {
            g.Text("name"),
            g.Text("notAsked").Length > 0 ? "not asked" : g.Text("reason").Length == 0 ? "yes" : "no",
            g.Ago("nextAt", now),
            g.Text("reason") is { Length: > 0 } reason ? reason : g.Text("notAsked"),
        }), ["WHY"]);
    }

    static void PrintOne(JsonElement run, DateTimeOffset now)
    {
        Console.WriteLine($"Run {run.Text("id")} of {run.Text("runbook")}");
        ConsoleTable.WriteFields(
            ("state", run.Text("state")),
            ("where", RunRows.Place(run)),
            ("incident", run.Text("incident")),
            ("proposed", run.Ago("createdAt", now)),
            ("ended", run.Ago("endedAt", now)),
            ("attempt", run.Text("attempt")),
            ("plan", run.Text("planHash")),
            ("why", run.Text("explanation")));
        ConsoleTable.WriteSection("Steps done", StepHeader, run.Items("steps").Select(s => StepRow(s, now)), ["SUMMARY"]);
        TimelineText.Write(run);
        if (run.Text("state") is "awaiting-approval")
            Console.WriteLine($"\nThe plan is in the timeline. To let it go:\nwhistle runs approve {run.Text("id")} --plan {run.Text("planHash")}");
    }

    static string[] StepRow(JsonElement step, DateTimeOffset now) =>
        [step.Text("outcome"), step.Text("step"), step.Text("action"), step.Ago("at", now), step.Text("summary")];
}

/// <summary>Runs of the API as rows of a table: those that wait for a person first, then what is under way, then what ended, the latest first.</summary>
static class RunRows
{
    public static readonly string[] Header = ["STATE", "RUNBOOK", "WHERE", "SINCE", "ID", "WHY"];
    public static readonly string[] HeaderOfIncident = ["STATE", "RUNBOOK", "SINCE", "ID", "WHY"];
    public static readonly string[] Details = ["WHERE", "WHY"];

    static readonly string[] Live = ["awaiting-approval", "running", "verifying", "waiting", "proposed"];

    public static IReadOnlyList<string[]> Of(JsonElement runs, DateTimeOffset now) =>
    [
        .. runs.EnumerateArray()
            .OrderBy(r => IncidentRows.Rank(Live, r.Text("state"))).ThenByDescending(r => r.Time("endedAt")).ThenBy(r => r.Time("since"))
            .Select(r => new[] { r.Text("state"), r.Text("runbook"), Place(r), Since(r, now), r.Text("id"), r.Text("explanation") }),
    ];

    public static string[] OfIncident(JsonElement run, DateTimeOffset now) =>
        [run.Text("state"), run.Text("runbook"), Since(run, now), run.Text("id"), run.Text("explanation")];

    public static string Place(JsonElement run) => JsonFields.Place(run, run.GetProperty("subject"));

    static string Since(JsonElement run, DateTimeOffset now) => Quantity.Ago(run.Time("endedAt") ?? run.Time("since") ?? now, now);
}
