using System.CommandLine;
using System.Globalization;
using System.Text.Json;

using Whistle.Detectors.Rules;
using Whistle.Detectors.Testing;
using Whistle.Detectors.Yaml;
using Whistle.Printing;

namespace Whistle.Commands;

/// <summary>What Whistle looks for.</summary>
static class RulesCommand
{
    static readonly Argument<string[]> Checked = new Argument<string[]>("file")
    {
        Description = "Rule files, PrometheusRule manifests, and folders of them; the shipped rules where none is given.",
        Arity = ArgumentArity.ZeroOrMore,
    }.NotEmpty();
    static readonly Argument<string[]> Tested =
        new Argument<string[]>("file") { Description = "Files of tests, and folders of them.", Arity = ArgumentArity.OneOrMore }.NotEmpty();

    public static Command Build()
    {
        var check = new Command("check", "Reads rules as a server would, and says what is wrong with them. Needs no server.") { Checked };
        check.SetAction(arguments => Check(arguments.GetValue(Checked) is { Length: > 0 } files ? files : new WhistleOptions().Rules));
        var test = new Command("test", "Runs unit tests of rules, in the format of `promtool test rules`. Needs no server.") { Tested };
        test.SetAction((arguments, cancellation) => TestAsync(arguments.GetValue(Tested)!, cancellation));
        return new("rules", "Lists, checks and tests rules.")
        {
            ServerConnection.With(
                new Command("list", "Lists the rules in force, and which signals inhibit others.").Lists(),
                async (arguments, server, cancellation) =>
            {
                var inhibitRules = await server.GetAsync("api/whistle/v1/inhibit-rules", cancellation);
                var rules = await server.GetAsync("api/v1/rules", cancellation);
                ListOutput.Write(arguments, rules, server.Now, view => RuleRows.Of(rules, view), _ =>
                    RuleRows.OfInhibitRules(inhibitRules));
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
        foreach (var (file, report) in await ProgressBars.RunAsync(progress => ReportsAsync(files, progress, cancellation)))
        {
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

    static async Task<List<(string File, RuleTestReport Report)>> ReportsAsync(
        List<string> files, ProgressReport progress, CancellationToken cancellation)
    {
        var reports = new List<(string, RuleTestReport)>();
        foreach (var file in files)
        {
            // Of one file nobody knows how far it is.
            progress("Testing rules", reports.Count, files.Count > 1 ? files.Count : 0);
            reports.Add((file, await RuleTester.RunAsync(file, cancellation)));
        }

        return reports;
    }

    static List<string> Expand(IEnumerable<string> paths)
    {
        List<string> files = [.. YamlFiles.Expand(paths)];
        if (files.Count == 0)
            Console.Error.WriteLine("There is no *.yaml or *.yml file in it.");
        return files;
    }

    static string Of(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}

/// <summary>Rules of the API as rows of a table.</summary>
static class RuleRows
{
    static readonly string[] InhibitHeader = ["WHILE", "INHIBITED ARE", "EQUAL"];
    static readonly string[] Header =
        ["STATE", "SEVERITY", "GROUP", "NAME", "KIND", "HEALTH", "SIGNALS", "FOR", "EVALUATED", "TOOK", "FILE", "EXPRESSION"];

    public static Listing Of(JsonElement answer, View view)
    {
        var rules = answer.Items("groups").SelectMany(g => g.Items("rules").Select(r => (Group: g, Rule: r))).ToList();
        var failed = rules.Where(r => r.Rule.Text("lastError").Length > 0)
            .Select(r => $"{r.Group.Text("name")}/{r.Rule.Text("name")} failed: {r.Rule.Text("lastError")}");
        return new(Header, [.. rules.Select(r => Row(r.Group, r.Rule, view))])
        {
            Details = ["EXPRESSION"],
            Wide = ["FOR", "FILE"],
            Spare = ["TOOK", "KIND", "HEALTH", "GROUP", "EVALUATED"],
            Empty = "There is no rule. Name files or folders of them with `whistle serve --rules`.",
            Notes = [.. failed],
        };
    }

    public static Listing OfInhibitRules(JsonElement rules) => new(InhibitHeader, [.. rules.EnumerateArray().Select(r => new[]
    {
        Joined(r, "sourceMatchers"), Joined(r, "targetMatchers"), Joined(r, "equal"),
    })])
    {
        Details = InhibitHeader,
    };

    static string Joined(JsonElement rule, string name) => string.Join(", ", rule.Items(name).Select(m => Printable.Of(m.ToString())));

    static string[] Row(JsonElement group, JsonElement rule, View view)
    {
        var alerting = rule.Text("type") is "alerting";
        // Prometheus's API has year 1 where there was none.
        var evaluated = rule.Time("lastEvaluation") is { Year: > 1 } at ? at : (DateTimeOffset?)null;
        return
        [
            rule.Text("state"), rule.TryGetProperty("labels", out var labels) ? labels.Text("severity")
                : "", group.Text("name"), rule.Text("name"),
            rule.Text("type"), rule.Text("health"), alerting ? rule.Items("alerts").Count().ToString(CultureInfo.InvariantCulture) : "",
            alerting ? view.Span(TimeSpan.FromSeconds(rule.GetProperty("duration").GetDouble())) : "",
            view.Time(evaluated), evaluated is null ? ""
                : Took(rule.GetProperty("evaluationTime").GetDouble(), view), group.Text("file"), Expression(rule),
        ];
    }

    static string Took(double seconds, View view) =>
        view.Raw ? seconds.ToString(CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{seconds * 1000:0.0} ms");

    // In one line: line ends mean nothing to PromQL but within a string, where they are rare.
    static string Expression(JsonElement rule) =>
        Printable.Of(string.Join(' ', rule.GetProperty("query").ToString().Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)));
}
