using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>What people set to stop repairs or to allow them.</summary>
static class ControlCommands
{
    const string Root = "api/whistle/v1";

    static readonly Option<string?> Tenant = new("--tenant") { Description = "Only this tenant's." };
    static readonly Option<string?> Cluster = new("--cluster") { Description = "Only in this cluster." };
    static readonly Option<string?> Node = new("--node") { Description = "Only on this node." };
    static readonly Option<string?> Runbook = new("--runbook") { Description = "Only those of this runbook." };
    static readonly Option<string> Reason = new("--reason") { Description = "Why; it is recorded.", Required = true };
    static readonly Option<string?> OptionalReason =
        new("--reason") { Description = "Why; it is recorded. May be left out in an emergency." };
    static readonly Option<string> For = new("--for") { Description = "How long, such as 2h. Every pause ends.", Required = true };
    internal static readonly Option<bool> Force = new("--force") { Description = "Accepts names that do not exist yet." };
    static readonly Argument<long> PauseId = new("id") { Description = "The pause's number." };
    static readonly Argument<string> Mode =
        new Argument<string>("mode") { Description = "off, observe (plan and show), approve (ask a person) or automatic." }
        .Suggests("off", "observe", "approve", "automatic");

    static readonly string[] PauseHeader = ["ID", "PAUSES", "ENDS", "BY", "REASON"];
    static readonly string[] ModeHeader = ["MODE", "OF", "SET", "BY"];

    public static IEnumerable<Command> Build() => [Pause(), KillSwitch(), Modes()];

    static Command Pause() => new("pause", "Pauses repairs for a time.")
    {
        ServerConnection.With(new Command("add", "Pauses the repairs that are named; without a name, all.")
        {
            Reason, For, Tenant, Cluster, Node, Runbook, Force,
        }, async (arguments, server, cancellation) =>
        {
            var pause = await server.PostAsync($"{Root}/pauses", new
            {
                reason = arguments.GetValue(Reason),
                @for = arguments.GetValue(For),
                tenant = arguments.GetValue(Tenant),
                cluster = arguments.GetValue(Cluster),
                node = arguments.GetValue(Node),
                runbook = arguments.GetValue(Runbook),
                force = arguments.GetValue(Force),
            }, cancellation);
            Console.WriteLine($"Pause {pause.Text("id")} stops {Scope(pause)} until {pause.Clock("until", new View(server.Now))}. "
                + $"End it earlier with `whistle pause end {pause.Text("id")}`.");
        }),
        ServerConnection.WithList(new Command("list", "Lists the pauses in force."), $"{Root}/pauses", Pauses),
        ServerConnection.With(new Command("end", "Ends a pause early.") { PauseId }, async (arguments, server, cancellation) =>
        {
            await server.DeleteAsync($"{Root}/pauses/{arguments.GetValue(PauseId)}", cancellation);
            Console.WriteLine($"Pause {arguments.GetValue(PauseId)} has ended.");
        }),
    };

    static Command KillSwitch() => new("kill-switch", "Stops all repairs everywhere, at once.")
    {
        ServerConnection.With(
            new Command("on", "Stops all repairs at once, also those that an agent is running.") { OptionalReason },
            (arguments, server, cancellation) =>
                SetAsync(true, arguments.GetValue(OptionalReason), server, cancellation)),
        ServerConnection.With(
            new Command("off", "Resumes repairs.") { Reason },
            (arguments, server, cancellation) => SetAsync(false, arguments.GetValue(Reason), server, cancellation)),
        ServerConnection.With(
            new Command("status", "Shows whether it is on, and who set it.").Shows(), async (arguments, server, cancellation) =>
            JsonOutput.Write(
                arguments,
                await server.GetAsync($"{Root}/kill-switch", cancellation),
                kill => PrintKillSwitch(kill, View.Of(arguments, server.Now)))),
    };

    static Command Modes() => new("mode", "Shows and sets the modes of runbooks.")
    {
        ServerConnection.WithList(new Command("list", "Lists what was set."), $"{Root}/runbook-modes", ModesTable),
        ServerConnection.With(new Command(
            "set",
            "Sets a runbook's mode; without names, that of all runbooks everywhere. The strictest of all modes that apply counts.")
        { Mode, Runbook, Cluster, Tenant, Force }, async (arguments, server, cancellation) =>
        {
            var mode = await server.PutAsync($"{Root}/runbook-modes", new
            {
                mode = arguments.GetValue(Mode),
                runbook = arguments.GetValue(Runbook),
                cluster = arguments.GetValue(Cluster),
                tenant = arguments.GetValue(Tenant),
                force = arguments.GetValue(Force),
            }, cancellation);
            Console.WriteLine($"The mode of {Scope(mode)} is set to {mode.Text("mode")}.");
            foreach (var stricter in Stricter(mode, await server.GetAsync($"{Root}/runbook-modes", cancellation)))
                Console.WriteLine($"But {stricter.Text("mode")} still counts where both apply: it is set for {Scope(stricter)}.");
        }),
    };

    // The strictest of all that apply counts.
    static IEnumerable<JsonElement> Stricter(JsonElement set, JsonElement all)
    {
        string[] order = ["off", "observe", "approve", "automatic"];
        return all.EnumerateArray().Where(other =>
            Array.IndexOf(order, other.Text("mode")) < Array.IndexOf(order, set.Text("mode"))
            && Places.All(p => other.Text(p) is "" || set.Text(p) is "" || other.Text(p) == set.Text(p)));
    }

    static readonly string[] Places = ["runbook", "tenant", "cluster"];

    static async Task SetAsync(bool on, string? reason, ServerConnection server, CancellationToken cancellation) =>
        PrintKillSwitch(await server.PutAsync($"{Root}/kill-switch", new { on, reason }, cancellation), new View(server.Now));

    static void PrintKillSwitch(JsonElement kill, View view)
    {
        var on = kill.GetProperty("on").GetBoolean();
        var how = kill.Text("author").Length == 0 ? ""
            : $". Turned {(on ? "on" : "off")} {kill.Time("since", view)} by {kill.Text("author")}: {kill.Text("reason")}";
        Console.WriteLine(on ? $"The kill switch is ON: all repairs are stopped{how}" : $"The kill switch is off{how}");
    }

    static Listing Pauses(JsonElement pauses, View view) => new(PauseHeader, [.. pauses.EnumerateArray().Select(p => new[]
    {
        p.Text("id"), Scope(p), p.Time("until", view), p.Text("author"), p.Text("reason"),
    })])
    {
        Details = ["REASON"],
        Empty = "No pause is in force.",
    };

    static Listing ModesTable(JsonElement modes, View view) => new(ModeHeader, [.. modes.EnumerateArray().Select(m => new[]
    {
        m.Text("mode"), Scope(m), m.Time("at", view), m.Text("author"),
    })])
    {
        Notes = ["Other runbooks have their file's mode (`whistle runbooks list`). In other clusters, the mode is at most observe."],
    };

    /// <summary>What a pause or a mode is about, such as <c>node-disk-filling in cluster prod</c>.</summary>
    static string Scope(JsonElement entry)
    {
        string[] parts =
        [
            entry.Text("runbook") is { Length: > 0 } runbook ? runbook : "all runbooks",
            entry.Text("node") is { Length: > 0 } node ? $"on node {node}" : "",
            entry.Text("cluster") is { Length: > 0 } cluster ? $"in cluster {cluster}" : "",
            entry.Text("tenant") is { Length: > 0 } tenant ? $"of tenant {tenant}" : "",
        ];
        return string.Join(' ', parts.Where(p => p.Length > 0));
    }
}
