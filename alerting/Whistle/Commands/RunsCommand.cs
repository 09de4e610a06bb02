using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>What Whistle does about what is broken.</summary>
static class RunsCommand
{
    const string Root = "api/whistle/v1/runs";

    static readonly Argument<string> Id = new("id") { Description = "The run." };
    static readonly Option<bool> All = new("--all") { Description = "Also lists those that ended in the last 24 hours." };
    static readonly Option<string?> Plan = new("--plan") { Description = "The hash of the plan that you have seen (`whistle runs show`)." };
    static readonly Option<string> For = new("--for") { Description = "How long the approval is valid.", DefaultValueFactory = _ => "1h" };
    static readonly Option<string> Reason = new("--reason") { Description = "Why; it is recorded.", Required = true };

    static readonly Option<string?> ApprovedStep =
        new("--step") { Description = "A step that needs its own approval; the whole plan if not given." };
    static readonly Argument<string> Task = new("step") { Description = "The step that a person is to do." };
    static readonly Option<string> Note = new("--note") { Description = "What was done; it is recorded.", Required = true };

    static readonly string[] GateHeader = ["GATE", "ALLOWS", "NOTED AGAIN", "WHY"];
    static readonly string[] StepHeader = ["OUTCOME", "STEP", "ACTION", "ENDED", "SUMMARY"];

    public static Command Build() => new("runs", "Lists, shows, explains, approves and cancels repairs, and marks their tasks as done.")
    {
        ServerConnection.With(
            new Command("list", "Lists the repairs under way, those that wait for you first.") { All }.Lists(),
            async (arguments, server, cancellation) =>
        {
            var answer = await server.GetAsync($"{Root}?since={(arguments.GetValue(All) ? "24h" : "0s")}", cancellation);
            var isWell = await server.IsWellAsync(cancellation);
            ListOutput.Write(arguments, answer, server.Now, view => RunRows.Of(answer, view) with
            {
                Empty = isWell ? "No repair is under way. --all also lists those that ended in the last 24 hours."
                    : "No repair is listed, but the server is not well: there may be some.",
            });
        }),
        ServerConnection.With(
            new Command("show", "Shows a repair with its plan, its steps and its timeline.") { Id }.Shows(),
            async (arguments, server, cancellation) => JsonOutput.Write(
                arguments,
                await server.GetAsync(PathOf(arguments), cancellation),
                run => PrintOne(run, View.Of(arguments, server.Now)))),
        ServerConnection.With(
            new Command("explain", "Explains what the repair is waiting for, and what every gate says.") { Id }.Shows(),
            async (arguments, server, cancellation) => JsonOutput.Write(
                arguments,
                await server.GetAsync($"{PathOf(arguments)}/explain", cancellation),
                run => PrintExplanation(run, View.Of(arguments, server.Now)))),
        ServerConnection.With(
            new Command("approve", "Approves a repair's plan, as it is now. Without --plan, shows it and asks.")
                { Id, Plan, For, ApprovedStep },
            ApproveAsync),
        ServerConnection.With(
            new Command("done", "Marks a step that a person had to do as done.") { Id, Task, Note },
            async (arguments, server, cancellation) =>
            {
                await server.PostAsync(
                    $"{PathOf(arguments)}/tasks/{ServerConnection.Part(arguments.GetValue(Task)!)}",
                    new { note = arguments.GetValue(Note) }, cancellation);
                Console.WriteLine($"The step {arguments.GetValue(Task)} of run {arguments.GetValue(Id)} is done.");
            }),
        ServerConnection.With(new Command(
            "cancel",
            "Cancels a repair. A step that is running on the node may finish; the runbook does not start again for this incident.")
        { Id, Reason }, async (arguments, server, cancellation) =>
        {
            await server.PostAsync($"{PathOf(arguments)}/cancel", new { reason = arguments.GetValue(Reason) }, cancellation);
            Console.WriteLine($"Run {arguments.GetValue(Id)} is cancelled.");
        }),
    };

    static string PathOf(ParseResult arguments) => $"{Root}/{ServerConnection.Part(arguments.GetValue(Id)!)}";

    static async Task ApproveAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var plan = arguments.GetValue(Plan) ?? await AskForPlanAsync(arguments, server, cancellation);
        var body = new { planHash = plan, @for = arguments.GetValue(For), step = arguments.GetValue(ApprovedStep) };
        var approval = await server.PostAsync($"{PathOf(arguments)}/approve", body, cancellation);
        Console.WriteLine($"Approved until {approval.Clock("until", new View(server.Now))}.");
    }

    // What is approved is the plan that was shown, not one that was made since.
    static async Task<string> AskForPlanAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        if (!Terminal.CanAsk)
            throw new UsageException(
                "Name the plan that you have seen with --plan HASH; `whistle runs show` has it. Only at a terminal are you asked.");
        var run = await server.GetAsync(PathOf(arguments), cancellation);
        PrintOne(run, new View(server.Now));
        Console.WriteLine();
        return await Terminal.ConfirmAsync($"Approve this plan for {arguments.GetValue(For)}?", cancellation)
            ? run.Text("planHash")
            : throw new CommandException("Not approved.");
    }

    static void PrintExplanation(JsonElement run, View view)
    {
        ConsoleTable.WriteParagraph("", run.Prose("explanation", view));
        ConsoleTable.WriteSection("Gates", GateHeader, run.Items("gates").Select(g => new[]
        {
            g.Text("name"),
            g.Text("notAsked").Length > 0 ? "not asked" : g.Text("reason").Length == 0 ? "yes" : "no",
            g.Time("nextAt", view),
            g.Prose("reason", view) is { Length: > 0 } reason ? reason : g.Text("notAsked"),
        }), ["WHY"]);
    }

    static void PrintOne(JsonElement run, View view)
    {
        ConsoleTable.WriteHeading($"Run {run.Text("id")} of {run.Text("runbook")}");
        ConsoleTable.WriteFields(
            ("state", run.Text("state")),
            ("where", RunRows.Place(run)),
            ("incident", run.Text("incident")),
            ("proposed", run.Time("createdAt", view)),
            ("ended", run.Time("endedAt", view)),
            ("attempt", run.Text("attempt")),
            ("plan", run.Text("planHash")),
            ("why", run.Prose("explanation", view)));
        ConsoleTable.WriteSection("Steps done", StepHeader, run.Items("steps").Select(s => StepRow(s, view)), ["SUMMARY"]);
        TimelineText.Write(run);
        if (run.Text("state") is "awaiting-approval")
            Console.WriteLine(
                $"\nThe plan is in the timeline. To approve it:\nwhistle runs approve {run.Text("id")} --plan {run.Text("planHash")}");
    }

    static string[] StepRow(JsonElement step, View view) =>
        [step.Text("outcome"), step.Text("step"), step.Text("action"), step.Time("at", view), step.Text("summary")];
}

/// <summary>
/// Runs of the API as rows of a table: those that wait for a person first, then what is under way, then what ended, the latest first.
/// </summary>
static class RunRows
{
    static readonly string[] Header = ["STATE", "RUNBOOK", "WHERE", "SINCE", "ATTEMPT", "INCIDENT", "ID", "WHY"];
    public static readonly string[] HeaderOfIncident = ["STATE", "RUNBOOK", "SINCE", "ID", "WHY"];
    public static readonly string[] Details = ["WHERE", "WHY"];

    static readonly string[] Live = ["awaiting-approval", "running", "verifying", "waiting", "proposed"];

    public static Listing Of(JsonElement runs, View view) => new(Header, [.. Sorted(runs).Select(r => new[]
    {
        r.Text("state"), r.Text("runbook"), Place(r), Since(r, view), r.Text("attempt"), r.Text("incident"), r.Text("id"),
            r.Prose("explanation", view),
    })])
    {
        Details = Details,
        Wide = ["ATTEMPT", "INCIDENT"],
    };

    static IEnumerable<JsonElement> Sorted(JsonElement runs) => runs.EnumerateArray()
        .OrderBy(r => IncidentRows.Rank(Live, r.Text("state"))).ThenByDescending(r => r.Time("endedAt")).ThenBy(r => r.Time("since"));

    public static string[] OfIncident(JsonElement run, View view) =>
        [run.Text("state"), run.Text("runbook"), Since(run, view), run.Text("id"), run.Prose("explanation", view)];

    public static string Place(JsonElement run) => JsonFields.Place(run, run.GetProperty("subject"));

    static string Since(JsonElement run, View view) => view.Time(run.Time("endedAt") ?? run.Time("since") ?? view.Now);
}
