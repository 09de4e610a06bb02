using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.Detectors.Rules;
using Whistle.Detectors.Testing;
using Whistle.Detectors.Yaml;

namespace Whistle.Commands;

/// <summary>What Whistle looks for.</summary>
static class RulesCommand
{
    static readonly Argument<string[]> Checked = new Argument<string[]>("file") { Description = "Rule files, PrometheusRule manifests, and folders of them; the shipped rules where none is given.", Arity = ArgumentArity.ZeroOrMore }.NotEmpty();
    static readonly Argument<string[]> Tested = new Argument<string[]>("file") { Description = "Files of tests, and folders of them.", Arity = ArgumentArity.OneOrMore }.NotEmpty();

    static readonly string[] InhibitHeader = ["WHILE", "HIDDEN ARE", "EQUAL"];
    static readonly string[] Header = ["STATE", "GROUP", "NAME", "KIND", "HEALTH", "SIGNALS", "EVALUATED", "TOOK"];

    public static Command Build()
    {
        var check = new Command("check", "Reads rules as a server would, and says what is wrong with them. Needs no server.") { Checked };
        check.SetAction(arguments => Check(arguments.GetValue(Checked) is { Length: > 0 } files ? files : new WhistleOptions().Rules));
        var test = new Command("test", "Runs unit tests of rules, in the format of `promtool test rules`. Needs no server.") { Tested };
        test.SetAction((arguments, cancellation) => TestAsync(arguments.GetValue(Tested)!, cancellation));
        return new("rules", "Lists, checks and tests rules.")
        {
            ServerConnection.With(new Command("list", "Lists the rules in force, and which signals hide others.") { JsonOutput.Option }, async (arguments, server, cancellation) =>
            {
                var inhibitRules = await server.GetAsync("api/whistle/v1/inhibit-rules", cancellation);
                JsonOutput.Write(arguments, await server.GetAsync("api/v1/rules", cancellation), a => Print(a, inhibitRules, server.Now));
            }),
            check, test,
        };
    }

    static int Check(IEnumerable<string> paths)
    {
        var files = Expand(paths);
        var load = RuleSet.Load(files);
        foreach (var error in load.Errors)
            Console.Error.WriteLine(error);
        if (load.Rules is not { } rules || files.Count == 0)
            return 1;
        foreach (var warning in rules.Warnings())
            Console.Error.WriteLine($"{warning} (warning)");
        foreach (var file in files)
        {
            var (groups, alerts, recordings, inhibitRules) = rules.Count(file);
            Console.WriteLine(inhibitRules > 0
                ? $"{file}: {Of(inhibitRules, "inhibit rule")}"
                : $"{file}: {Of(groups, "group")}, {Of(alerts, "alert")}, {Of(recordings, "recording")}");
        }

        return 0;
    }

    static async Task<int> TestAsync(string[] paths, CancellationToken cancellation)
    {
        var files = Expand(paths);
        var good = files.Count > 0;
        foreach (var file in files)
        {
            var report = await RuleTester.RunAsync(file, cancellation);
            foreach (var warning in report.Warnings)
                Console.Error.WriteLine($"{warning} (warning)");
            foreach (var error in report.Errors)
                Console.Error.WriteLine(error);
            if (report.Errors.Count == 0)
                Console.WriteLine($"{file}: {Of(report.Tests, "test")}, {Of(report.Checks, "check")}; all pass");
            good &= report.Errors.Count == 0;
        }

        return good ? 0 : 1;
    }

    static List<string> Expand(IEnumerable<string> paths)
    {
        List<string> files = [.. YamlFiles.Expand(paths)];
        if (files.Count == 0)
            Console.Error.WriteLine("There is no *.yaml or *.yml file in it.");
        return files;
    }

    static string Of(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";

    static void Print(JsonElement answer, JsonElement inhibitRules, DateTimeOffset now)
    {
        var rules = answer.Items("groups").SelectMany(g => g.Items("rules").Select(r => (Group: g.Text("name"), Rule: r))).ToList();
        if (rules.Count == 0)
        {
            Console.WriteLine("There is no rule. Name files or folders of them with `whistle serve --rules`.");
            return;
        }

        ConsoleTable.Write(Header, rules.Select(r => Row(r.Group, r.Rule, now)), colour: StateColours.Of);
        foreach (var (group, rule) in rules.Where(r => r.Rule.Text("lastError").Length > 0))
            ConsoleTable.WriteParagraph("", $"{group}/{rule.Text("name")} failed: {rule.Text("lastError")}");
        if (inhibitRules.GetArrayLength() == 0)
            return;
        Console.WriteLine();
        ConsoleTable.Write(InhibitHeader, inhibitRules.EnumerateArray().Select(r => new[] { Joined(r, "sourceMatchers"), Joined(r, "targetMatchers"), Joined(r, "equal") }), InhibitHeader);
    }

    static string Joined(JsonElement rule, string name) => string.Join(", ", rule.Items(name).Select(m => ConsoleTable.Printable(m.ToString())));

    static string[] Row(string group, JsonElement rule, DateTimeOffset now)
    {
        var alerting = rule.Text("type") is "alerting";
        // Prometheus's API has year 1 where there was none.
        var isEvaluated = rule.Time("lastEvaluation") is { Year: > 1 };
        return
        [
            rule.Text("state"), group, rule.Text("name"), rule.Text("type"), rule.Text("health"),
            alerting ? rule.Items("alerts").Count().ToString(CultureInfo.InvariantCulture) : "",
            isEvaluated ? rule.Ago("lastEvaluation", now) : "",
            isEvaluated ? $"{rule.GetProperty("evaluationTime").GetDouble() * 1000:0.0} ms" : "",
        ];
    }
}
