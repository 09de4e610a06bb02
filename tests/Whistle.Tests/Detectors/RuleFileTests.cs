using Whistle.Detectors.Rules;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed class RuleFileTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-rules-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void The_shipped_rules_load()
    {
        var load = RuleSet.Load([Path.Combine(AppContext.BaseDirectory, "rules")]);

        Assert.Empty(load.Errors);
        Assert.Equal(82, load.Rules!.RuleCount);
    }

    [Fact]
    public void A_file_that_is_named_twice_is_loaded_once()
    {
        var file = Path.Combine(_folder, "rules.yaml");
        File.WriteAllText(file, "groups: [{ name: g, rules: [{ alert: A, expr: up == 0 }] }]");

        var load = RuleSet.Load([_folder, file, Path.Combine(_folder, ".", "rules.yaml")]);

        Assert.Empty(load.Errors);
        Assert.Equal(1, load.Rules!.RuleCount);
    }

    [Fact]
    public void Every_error_is_reported_with_its_line_and_column()
    {
        var errors = Load(
            """
            groups:
              - name: g
                interval: 5 minutes
                colour: red
                rules:
                  - alert: A
                    expr: up == 0
                    for: 1h30
                    labels:
                      alertname: x
                  - alert: B
                    expr: |
                      up ==
                        0 )
                    annotations:
                      summary: "on {{ $labels.node | nosuch }}"
                  - record: "a-b"
                    expr: up
                    for: 1m
                  - alert: C
                  - alert: D
                    expr: up
                  - alert: D
                    expr: up > 1
              - name: g
                rules: []
            """);

        Assert.Collection(
            errors,
            e => Assert.Equal(
                "rules.yaml:4:5: unknown key \"colour\" in a group; known are name, interval, limit, query_offset, labels, rules", e),
            e => Assert.Equal("rules.yaml:3:15: interval: \"5 minutes\" is not a duration; write it like 30s, 5m or 1h30m", e),
            e => Assert.StartsWith("rules.yaml:10:11: the label alertname is set by the rule itself", e),
            e => Assert.StartsWith("rules.yaml:8:14: for: \"1h30\" is not a duration", e),
            e => Assert.StartsWith("rules.yaml:14:15: ", e),
            e => Assert.StartsWith("rules.yaml:16:42: in the template of summary: unknown function \"nosuch\"", e),
            e => Assert.StartsWith("rules.yaml:19:14: a recording rule has no for", e),
            e => Assert.StartsWith("rules.yaml:17:17: \"a-b\" is not a metric name", e),
            e => Assert.StartsWith("rules.yaml:20:9: a rule needs expr", e),
            e => Assert.StartsWith("rules.yaml:23:9: the rule \"D\" is in this group twice", e),
            e => Assert.StartsWith("rules.yaml:25:5: the group name \"g\" is used twice", e));
    }

    [Theory]
    [InlineData("groups: [", "not valid YAML")]
    [InlineData("a: 1", "unknown key \"a\"")]
    [InlineData("kind: Pod", "not PrometheusRule")]
    [InlineData("- x", "must be a mapping")]
    public void A_file_that_is_something_else_says_so(string text, string reason) => Assert.Contains(reason, Assert.Single(Load(text)));

    [Fact]
    public void A_missing_file_is_an_error() =>
        Assert.Contains("cannot be read", Assert.Single(RuleSet.Load([Path.Combine(_folder, "none.yaml")]).Errors).Reason);

    [Fact]
    public void A_manifest_for_Kubernetes_loads() => Assert.Empty(Load(
        """
        apiVersion: monitoring.coreos.com/v1
        kind: PrometheusRule
        metadata: { name: x }
        spec:
          groups:
            - name: g
              labels: { team: a }
              rules:
                - { alert: A, expr: up == 0, keep_firing_for: 5m }
        """));

    [Fact]
    public void Recordings_of_one_name_and_labels_may_stand_in_one_group_and_are_told_apart()
    {
        var file = Path.Combine(_folder, "rules.yaml");
        File.WriteAllText(
            file,
            """
            groups:
              - name: g
                rules:
                  - { record: a, expr: sum by (x) (up == 0) }
                  - { record: a, expr: sum by (x) (up == 1) }
                  - { record: a, expr: sum by (x) (up == 2) }
            """);

        var load = RuleSet.Load([file]);

        Assert.Empty(load.Errors);
        Assert.Distinct(load.Rules!.Groups[0].Rules.Select(r => r.Identity));
    }

    List<string> Load(string text)
    {
        var file = Path.Combine(_folder, "rules.yaml");
        File.WriteAllText(file, text);
        return [.. RuleSet.Load([file]).Errors.Select(e => e.ToString()[(_folder.Length + 1)..])];
    }
}
