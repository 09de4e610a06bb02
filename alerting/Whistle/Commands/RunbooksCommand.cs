using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;

using Whistle.Printing;
using Whistle.Remediation.Runbooks;
using Whistle.Telemetry;

namespace Whistle.Commands;

/// <summary>What Whistle can do about what is broken.</summary>
static class RunbooksCommand
{
    static readonly Argument<string[]> Files =
        new Argument<string[]>("file") { Description = "Files, and folders of them.", Arity = ArgumentArity.OneOrMore }.NotEmpty();

    static readonly Argument<string[]> Tested = new Argument<string[]>("file")
    {
        Description = "Files of runbooks, and folders of them; the last is the file of cases.",
        Arity = new(2, 1000),
    }.NotEmpty();
    static readonly Option<string[]> SignalLabel =
        new("--label") { Description = "A label of the signal, such as mountpoint=/var; one that is not given stands as it is written." };

    static readonly Option<string> From =
        new("--from") { Description = "How far back the incidents opened that are looked at.", DefaultValueFactory = _ => "24h" };
    static readonly Option<string> To = new("--to") { Description = "How far back it ends.", DefaultValueFactory = _ => "0s" };

    static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    const string NothingReplayed = "No incident opened in this time that a runbook in force answers.";

    static readonly string[] Header = ["NAME", "MODE", "FILE", "HASH", "SUMMARY"];
    static readonly string[] ReplayHeader =
        ["AT", "CLUSTER", "NODE", "INCIDENT", "RUNBOOK", "VERDICT", "MODE", "WHY", "COMMANDS", "TITLE"];

    public static Command Build()
    {
        var check = new Command("check", "Reads runbooks as a server would, and says what is wrong with them. Needs no server.") { Files };
        check.SetAction(arguments => Check(arguments.GetValue(Files)!));
        var explain = new Command("explain", "Says in plain words what runbooks answer and do. Needs no server.") { Files, SignalLabel };
        explain.SetAction(arguments => Explain(arguments.GetValue(Files)!, arguments.GetValue(SignalLabel) ?? []));
        var test = new Command(
            "test", "Checks runbooks against a file of cases: signals, who answers them, and the commands. Needs no server.")
        { Tested };
        test.SetAction(arguments => Test(arguments.GetValue(Tested)!));
        var schema = new Command("schema", "Prints a JSON schema of runbooks, for editors.");
        schema.SetAction(_ => Console.WriteLine(RunbookSchema.Build().ToJsonString(Indented)));
        return new("runbooks", "Lists, checks, explains and tests runbooks.")
        {
            ServerConnection.WithList(
                new Command("list", "Lists the runbooks in force."), "api/whistle/v1/runbooks", (runbooks, _) => Table(runbooks)),
            check, explain, test, schema,
            ServerConnection.With(
                new Command(
                    "replay", "Says what the runbooks in force would have done about past incidents, as far as what was so then is kept.")
                    { From, To }.Lists(),
                ReplayAsync),
        };
    }

    static int Check(string[] files)
    {
        if (Load(files) is not { } good)
            return 1;
        Console.WriteLine($"Good: {string.Join(", ", good.Runbooks.Select(r => r.Name))}.");
        return 0;
    }

    static int Explain(string[] files, string[] labels)
    {
        if (labels.FirstOrDefault(l => l.IndexOf('=', StringComparison.Ordinal) <= 0) is { } wrong)
        {
            Console.Error.WriteLine($"--label: \"{wrong}\" is not a label; write it like mountpoint=/var.");
            return ExitCode.Usage;
        }

        if (Load(files) is not { } good)
            return 1;
        var given = Labels.From(labels.Select(l => l.Split('=', 2)).DistinctBy(l => l[0]).Select(l => new Label(l[0], l[1])));
        foreach (var line in good.Runbooks.SelectMany((r, i) => RunbookWords.Of(r, given).Prepend("").Skip(i == 0 ? 1 : 0)))
            ConsoleTable.WriteParagraph(line[..^line.TrimStart().Length], line.TrimStart());
        return 0;
    }

    static int Test(string[] files)
    {
        if (Load(files[..^1]) is not { } good)
            return 1;
        var (count, errors) = RunbookCases.Run(good, files[^1]);
        foreach (var error in errors)
            Console.Error.WriteLine(error);
        if (errors.Count > 0)
            return 1;
        Console.WriteLine($"All {count} cases pass.");
        return 0;
    }

    static RunbookSet? Load(string[] files)
    {
        var (runbooks, errors) = RunbookSet.Load(files);
        foreach (var error in errors)
            Console.Error.WriteLine(error);
        if (runbooks is { Runbooks.Count: 0 })
            Console.Error.WriteLine("There is no *.yaml or *.yml file in it.");
        return runbooks is { Runbooks.Count: > 0 } ? runbooks : null;
    }

    static async Task ReplayAsync(ParseResult arguments, ServerConnection server, CancellationToken cancellation)
    {
        var (from, to) = (Uri.EscapeDataString(arguments.GetValue(From)!), Uri.EscapeDataString(arguments.GetValue(To)!));
        var answer = await ProgressBars.RunAsync(async progress =>
        {
            progress("Replaying incidents", 0, 0);
            return await server.GetAsync($"api/whistle/v1/runbook-replay?from={from}&to={to}", cancellation);
        });
        if (ListOutput.IsTable(arguments))
            PrintReplay(answer, View.Of(arguments, server.Now));
        else
            ListOutput.Write(arguments, answer, server.Now, view => ReplayTable(answer, view));
    }

    static Listing ReplayTable(JsonElement answers, View view) => new(ReplayHeader, [.. answers.EnumerateArray().Select(a => new[]
    {
        a.Time("at", view), a.Text("cluster"), a.Text("node"), a.Text("incident"), a.Text("runbook"), a.Text("verdict"), a.Text("mode"),
            a.Text("why"),
        string.Join("; ", a.Items("commands").Select(c => Printable.Of(c.ToString()))), a.Text("title"),
    })])
    {
        Empty = NothingReplayed,
    };

    static void PrintReplay(JsonElement answers, View view)
    {
        foreach (var answer in answers.EnumerateArray())
        {
            var place = $"{answer.Text("cluster")}/{answer.Text("node")}";
            ConsoleTable.WriteParagraph("", $"{answer.Time("at", view)}  {answer.Text("title")} ({place}, {answer.Text("incident")})");
            ConsoleTable.WriteParagraph("  ", $"{answer.Text("runbook")}: {Verdict(answer)}");
            foreach (var command in answer.Items("commands"))
                ConsoleTable.WriteParagraph("    ", Printable.Of(command.ToString()));
        }

        ConsoleTable.WriteParagraph("", answers.GetArrayLength() == 0 ? NothingReplayed
            : "The kill switch, modes, removed windows and storms of the time are not kept: "
                + "the gates were asked as if the switch were off and the mode automatic.");
    }

    static string Verdict(JsonElement answer) => answer.Text("verdict") switch
    {
        "would-act" => $"would have acted{(answer.Text("mode") is "automatic" ? "" : $", were its mode not {answer.Text("mode")}")}.",
        "no-plan" => $"no plan can be made: {answer.Text("why")}",
        _ => $"refused by {answer.Text("why")}",
    };

    static Listing Table(JsonElement runbooks) => new(Header, [.. runbooks.EnumerateArray().Select(r => new[]
    {
        r.Text("name"), r.Text("mode"), r.Text("file"), r.Text("hash"), r.Text("summary"),
    })])
    {
        Details = ["SUMMARY"],
        Wide = ["HASH"],
        Empty = "There is no runbook. Name a folder of them with `whistle serve --runbooks`.",
    };
}
