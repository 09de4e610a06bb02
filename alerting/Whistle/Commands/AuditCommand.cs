using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>Who did what, and whether nobody has changed what was written down of it.</summary>
static class AuditCommand
{
    const string Root = "api/whistle/v1/audit";

    static readonly Option<string?> Since = new("--since") { Description = "How far back, such as 24h; all if not given." };

    static readonly Option<string?> Actor =
        new("--actor") { Description = "Only what was asked by whom with this name or identity; ann* for what begins with it." };

    static readonly Option<string?> Action =
        new("--action") { Description = "Only this action, such as approve-run; enrol* for what begins with it." };

    static readonly Option<string?> Tenant = new("--tenant") { Description = "Only what was this tenant's." };

    static readonly Option<string?> Outcome = Outcomes();
    static readonly Option<long?> Before = new("--before") { Description = "Only entries with lower numbers, to page." };
    static readonly Option<int> Limit = new("--limit") { Description = "At most so many.", DefaultValueFactory = _ => 100 };

    static readonly Option<string?> Head = new("--head")
    {
        Description = "A head that an earlier verify printed: whether that entry is still the same is checked too.",
    };

    static readonly string[] Header = ["NUMBER", "AT", "ACTOR", "FROM", "ACTION", "SCOPE", "SUBJECT", "OUTCOME", "REASON", "DETAILS"];

    public static Command Build() => new("audit", "Lists, verifies and exports who did what, from where and when.")
    {
        ServerConnection.With(
            new Command("list", "Lists who did what, from where and when, the latest first.")
            { Since, Actor, Action, Tenant, Outcome, Before, Limit }.Lists(),
            async (arguments, server, cancellation) =>
            {
                var answer = await server.GetAsync(
                    Path(Root, [.. Filters(arguments), ("outcome", arguments.GetValue(Outcome)),
                        ("before", arguments.GetValue(Before)?.ToString()), ("limit", arguments.GetValue(Limit).ToString())]),
                    cancellation);
                ListOutput.Write(arguments, answer, server.Now, view => Table(answer, view));
            }),
        ServerConnection.With(
            new Command("verify", "Checks that no entry was changed, deleted, moved or inserted, and prints the head. "
                + $"Exits with {ExitCode.Failed} and the first wrong entry otherwise.") { Head }.Shows(),
            VerifyAsync),
        ServerConnection.With(
            new Command("export", "Prints the entries as lines of JSON, the oldest first.") { Since, Actor, Action, Tenant },
            async (arguments, server, cancellation) =>
            {
                PrivateOutput.Close();
                await using var output = Console.OpenStandardOutput();
                await server.CopyAsync(Path($"{Root}/export", Filters(arguments)), output, cancellation);
            }),
    };

    static async Task<int> VerifyAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var answer = await server.GetAsync(Path($"{Root}/verify", [("head", arguments.GetValue(Head))]), cancellation);
        JsonOutput.Write(arguments, answer, a =>
        {
            if (a.Text("fault") is { Length: > 0 } fault)
                Console.WriteLine($"DAMAGED  {fault} The {a.Text("entries")} before it are as they were written.");
            else
                Console.WriteLine(
                    $"ok       {a.Text("entries")} entries are as they were written. Keep this head elsewhere:\n{a.Text("head")}");
        });
        return answer.GetProperty("whole").GetBoolean() ? ExitCode.Fine : ExitCode.Failed;
    }

    static (string Name, string? Value)[] Filters(ParseResult arguments) =>
    [
        ("since", arguments.GetValue(Since)), ("actor", arguments.GetValue(Actor)), ("action", arguments.GetValue(Action)),
        ("tenant", arguments.GetValue(Tenant)),
    ];

    static string Path(string path, (string Name, string? Value)[] query) => Web.Places.Address.With(path, query);

    static Listing Table(JsonElement answer, View view) => new(Header, [.. answer.Items("entries").Select(e => new[]
    {
        e.Text("number"), e.Time("at", view), e.Text("actor"), e.Text("from"), e.Text("action"), ScopeOf(e), e.Text("subject"),
        e.Text("outcome"), e.Text("reason"), e.Text("details"),
    })])
    {
        Details = ["REASON"],
        Wide = ["DETAILS"],
        Spare = ["FROM"],
        Empty = "No entry matches.",
        Notes = answer.Text("before") is { Length: > 0 } before ? [$"There are earlier ones: --before {before}."] : [],
    };

    static string ScopeOf(JsonElement entry) => entry.Text("tenant") is not { Length: > 0 } tenant ? "all"
        : entry.Text("cluster") is { Length: > 0 } cluster ? $"{tenant}/{cluster}" : tenant;

    static Option<string?> Outcomes()
    {
        var option = new Option<string?>("--outcome") { Description = "Only done, refused or failed." };
        option.AcceptOnlyFromAmong("done", "refused", "failed");
        return option;
    }
}
