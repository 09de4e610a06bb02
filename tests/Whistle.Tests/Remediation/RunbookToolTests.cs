using System.Text.Json.Nodes;

using Whistle.Remediation.Runbooks;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Remediation;

public sealed class RunbookToolTests : IDisposable
{
    const string Book =
        """
        name: chrony
        summary: Restart the time service
        answers: [{ signal: ClockOff, labels: { node: n.* } }]
        parameters: { unit: "${service}.service" }
        gates: { attempts: 1, window: required }
        steps:
          - { name: wait, wait: 'up{node="${node}"}' }
          - { name: restart, action: unit.restart, parameters: { unit: "${unit}" }, timeout: 1m }
          - { name: raise, action: sysctl.raise, parameters: { name: a.b, factor: 2 },
              rollback: { action: packages.unpin, parameters: { packages: "${output.before}" } } }
          - { name: agree, approval: customer }
          - { name: look, task: "Look at ${node}" }
        verify: { within: 5m, expr: 'up{node="${node}"} == 1' }
        ladder: [reboot, escalate]
        """;

    const string Raise = "sysctl.raise, parameters: { name: a.b, factor: 2 }";

    const string Reboot =
        """
        name: reboot
        summary: Reboot
        steps: [{ name: r, action: node.reboot }]
        verify: {}
        """;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-tools-").FullName;

    // As it is printed.
    static JsonNode Schema { get; } = JsonNode.Parse(RunbookSchema.Build().ToJsonString())!;

    RunbookSet Set => RunbookSet.Load([Write("a.yaml", Book), Write("b.yaml", Reboot)]).Runbooks!;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_runbook_is_told_in_plain_words_with_its_steps_made_for_the_labels()
    {
        var lines = RunbookWords.Of(Set.Find("chrony")!, Labels.Of(("service", "chrony"))).ToList();

        Assert.Equal(
            [
                "chrony: Restart the time service. Mode observe.",
                "It answers",
                "  ClockOff where node is n.*",
                "Steps",
                """  1. wait: waits until up{node="${node}"}, at most 5m; where it fails, the attempt ends.""",
                """  2. restart: unit.restart {"unit":"chrony.service"}, """
                    + "may stop an etcd member, at most 1m; where it fails, the attempt ends.",
                """  3. raise: sysctl.raise {"name":"a.b","factor":2}, at most 5m; where it fails, the attempt ends.""",
                """     Taken back by packages.unpin {"packages":"${output.before}"}, at most 5m.""",
                "  4. agree: waits for approval by customer, at most 1d; where it fails, the attempt ends.",
                "  5. look: a person does this: Look at ${node}, at most 1d; where it fails, the attempt ends.",
            ],
            lines[..10]);
        Assert.Contains("  Always waits for a maintenance window. A change freeze holds what disturbs more than files.", lines);
        Assert.Contains("  1 attempts in an incident, 15m apart, each time 2 times as long.", lines);
        Assert.Equal("  What can be rolled back is rolled back; then reboot, then people: a page and a ticket.", lines[^1]);
        Assert.Contains(
            "It answers no signal; it is a rung of other runbooks' ladders.", RunbookWords.Of(Set.Find("reboot")!, Labels.Empty));
    }

    [Fact]
    public void Cases_hold_or_say_what_came_instead()
    {
        var good = Write("good.cases", """
            - name: restarts
              signal: ClockOff
              labels: { node: n1, service: chrony }
              answered: [chrony]
              commands:
                - { action: unit.restart, parameters: { unit: chrony.service } }
                - { action: sysctl.raise, parameters: { factor: 2, name: a.b } }
            - { name: not here, signal: ClockOff, labels: { node: x }, answered: [] }
            - { name: no service, signal: ClockOff, labels: { node: n1 }, refused: no label service }
            """);
        Assert.Equal((3, 0), (RunbookCases.Run(Set, good).Count, RunbookCases.Run(Set, good).Errors.Count));

        var bad = Write("bad.cases", """
            - { name: a, signal: ClockOff, labels: { node: x }, answered: [chrony] }
            - { name: b, signal: ClockOff, labels: { node: n1, service: ntp }, commands: [{ action: node.reboot }] }
            - { name: c, signal: ClockOff, labels: { node: n1, service: ntp }, refused: why }
            - { name: d, signal: ClockOff, colour: red }
            """);
        Assert.Collection(
            RunbookCases.Run(Set, bad).Errors.Select(e => e.ToString()[(_folder.Length + 1)..]),
            e => Assert.Equal("bad.cases:1:3: a: no runbook answers it, not chrony", e),
            e => Assert.Contains("""unit.restart {"unit":"ntp.service"}""", e, StringComparison.Ordinal),
            e => Assert.StartsWith("bad.cases:3:3: c: a plan can be made", e, StringComparison.Ordinal),
            e => Assert.StartsWith("bad.cases:4:32: unknown key \"colour\" in a case", e, StringComparison.Ordinal),
            e => Assert.StartsWith("bad.cases:4:3: a case says what it expects", e, StringComparison.Ordinal));
    }

    [Fact]
    public void The_schema_takes_every_shipped_runbook_and_this_one()
    {
        var files = Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "runbooks"));

        Assert.NotEmpty(files);
        Assert.Empty(files.Select(File.ReadAllText).Append(Book).Append(Reboot)
            .SelectMany(text => JsonSchemaCheck.Faults(Schema, JsonSchemaCheck.Parse(text))));
        Assert.Equal("https://json-schema.org/draft/2020-12/schema", (string)Schema["$schema"]!);
    }

    [Theory]
    [InlineData("attempts: 1,", "attempts: 11,", "$.gates.attempts maximum")]
    [InlineData("window: required", "window: never", "$.gates.window enum")]
    [InlineData("timeout: 1m", "timeout: soon", "$.steps[1].timeout anyOf")]
    [InlineData("action: unit.restart", "action: unit.stop", "$.steps[1].action enum")]
    [InlineData("parameters: { unit: \"${unit}\" }", "dryRun: true", "$.steps[1] needs parameters")]
    [InlineData("unit: \"${unit}\" }", "unit: 7 }", "$.steps[1].parameters.unit type")]
    [InlineData("factor: 2", "factor: 1", "$.steps[2].parameters.factor exclusiveMinimum")]
    [InlineData("factor: 2", "factor: 10.5", "$.steps[2].parameters.factor maximum")]
    [InlineData("factor: 2", "value: 1.5", "$.steps[2].parameters.value type")]
    [InlineData(Raise, "certificates.renew, parameters: { within: soon }", "$.steps[2].parameters.within pattern")]
    [InlineData(Raise, "packages.pin, parameters: { packages: [] }", "$.steps[2].parameters.packages minItems")]
    [InlineData("factor: 2", "factor: two", "$.steps[2].parameters.factor type")]
    [InlineData("\"${output.before}\"", "\"${before}\"", "$.steps[2].rollback.parameters.packages anyOf")]
    [InlineData("task: \"Look", "wait: x, task: \"Look", "$.steps[4] oneOf")]
    [InlineData("verify:", "proof:", "$.proof unknown")]
    [InlineData("node: n.*", "node: [n]", "$.answers[0].labels.node type")]
    public void The_schema_refuses_what_the_reader_refuses(string good, string bad, string fault)
    {
        Assert.Contains(good, Book, StringComparison.Ordinal);
        var text = Book.Replace(good, bad, StringComparison.Ordinal);
        Assert.Contains(fault, JsonSchemaCheck.Faults(Schema, JsonSchemaCheck.Parse(text)));
        Assert.NotEmpty(RunbookSet.Load([Write("a.yaml", text), Write("b.yaml", Reboot)]).Errors);
    }

    [Fact]
    public void The_schema_has_every_action_with_its_parameters()
    {
        var step = Schema["properties"]!["steps"]!["items"]!;
        Assert.Equal(ActionCatalogue.Names, step["properties"]!["action"]!["enum"]!.AsArray().Select(a => (string)a!));
        Assert.Equal(
            ActionCatalogue.Names.Select(a => string.Join(",", ActionCatalogue.Find(a)!.Parameters.Select(p => p.Name))),
            step["allOf"]!.AsArray().Select(
                a => string.Join(",", a!["then"]!["properties"]!["parameters"]!["properties"]!.AsObject().Select(p => p.Key))));
    }

    string Write(string name, string text)
    {
        var file = Path.Combine(_folder, name);
        File.WriteAllText(file, text);
        return file;
    }
}
