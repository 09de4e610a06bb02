using Whistle.Detectors.Rules;
using Whistle.Detectors.Testing;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed class RuleTesterTests : IDisposable
{
    const string Rules =
        """
        groups:
          - name: g
            interval: 5m
            rules:
              - alert: Down
                expr: up == 0
              - alert: Full
                expr: node_filesystem_avail_bytes < 10
                for: 3m
                annotations: { summary: "{{ $value }} left" }
              - alert: Silent
                expr: whistle_agent_up == 0
              - alert: Slow
                expr: latency_seconds > 1
        """;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-rule-tests-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task An_agent_s_silence_is_unknown_and_states_are_compared_where_one_is_named() => Holds(await RunAsync(
        """
        rule_files: [rules.yaml]
        agents: [{ tenant: t, cluster: c, node: n }]
        tests:
          - name: silence
            input_series:
              - { series: 'whistle_agent_interval_seconds{tenant="t",cluster="c",node="n"}', values: 60x5 _x5 60x5 }
              - { series: 'node_scrape_collector_success{tenant="t",cluster="c",node="n",collector="filesystem"}', values: 1x5 _x5 1x5 }
              - { series: 'node_filesystem_avail_bytes{tenant="t",cluster="c",node="n",mountpoint="/data"}', values: 5x5 _x5 6x5 }
            alert_rule_test:
              - eval_time: 2m
                alertname: Full
                exp_alerts: [{ exp_state: pending, exp_labels: &disk { tenant: t, cluster: c, node: n, mountpoint: /data },
                    exp_annotations: { summary: 5 left } }]
              - { eval_time: 2m, alertname: Full, exp_alerts: [] }
              - { eval_time: 3m, alertname: Full, exp_alerts: [{ exp_labels: *disk, exp_annotations: { summary: 5 left } }] }
              - eval_time: 9m
                alertname: Full
                exp_alerts: [{ exp_state: unknown, exp_labels: *disk, exp_annotations: { summary: 5 left } }]
              - { eval_time: 7m, alertname: Silent }
              - { eval_time: 9m, alertname: Silent, exp_alerts: [{ exp_state: firing, exp_labels: { tenant: t, cluster: c, node: n } }] }
              - { eval_time: 11m, alertname: Full, exp_alerts: [{ exp_labels: *disk, exp_annotations: { summary: 6 left } }] }
              - { eval_time: 11m, alertname: Silent }
        """));

    [Fact]
    public async Task A_target_that_is_down_fires_and_one_whose_scraper_is_silent_is_unknown() => Holds(await RunAsync(
        """
        rule_files: [rules.yaml]
        tests:
          - input_series: [{ series: 'up{job="j",instance="i"}', values: 1 0 0 _x5 0 1 }]
            alert_rule_test:
              - { eval_time: 0m, alertname: Down }
              - { eval_time: 2m, alertname: Down, exp_alerts: [{ exp_labels: { job: j, instance: i } }] }
              - { eval_time: 7m, alertname: Down, exp_alerts: [{ exp_state: unknown, exp_labels: { job: j, instance: i } }] }
              - { eval_time: 8m, alertname: Down, exp_alerts: [{ exp_labels: { job: j, instance: i } }] }
              - { eval_time: 9m, alertname: Down }
        """));

    [Fact]
    public async Task A_target_without_up_counts_as_scraped_and_one_with_up_as_it_says() => Holds(await RunAsync(
        """
        rule_files: [rules.yaml]
        tests:
          - input_series: [{ series: 'latency_seconds{job="j",instance="i"}', values: 2x5 }]
            alert_rule_test: [{ eval_time: 2m, alertname: Slow, exp_alerts: [{ exp_labels: { job: j, instance: i } }] }]
          - input_series:
              - { series: 'latency_seconds{job="j",instance="i"}', values: 2x5 }
              - { series: 'up{job="j",instance="i"}', values: 1 _x5 }
            alert_rule_test: [{ eval_time: 5m, alertname: Slow, exp_alerts: [{ exp_state: unknown, exp_labels: { job: j, instance: i } }] }]
        """));

    [Fact]
    public async Task What_a_scraper_ended_because_its_target_does_not_answer_is_unknown_not_gone() => Holds(await RunAsync(
        """
        rule_files: [rules.yaml]
        tests:
          - input_series:
              - { series: 'latency_seconds{job="j",instance="i"}', values: 2 2 stale _ 2 stale }
              - { series: 'up{job="j",instance="i"}', values: 1 1 0 0 1 1 }
            alert_rule_test:
              - { eval_time: 1m, alertname: Slow, exp_alerts: [{ exp_state: firing, exp_labels: &target { job: j, instance: i } }] }
              - { eval_time: 2m, alertname: Slow, exp_alerts: [{ exp_state: unknown, exp_labels: *target }] }
              - { eval_time: 4m, alertname: Slow, exp_alerts: [{ exp_state: firing, exp_labels: *target }] }
              - { eval_time: 5m, alertname: Slow }
        """));

    [Theory]
    [InlineData("2026-01-01T00:00:30Z")]
    [InlineData("1767225630")]
    public async Task A_test_begins_when_it_says(string start) => Holds(await RunAsync(
        $$"""
        rule_files: [rules.yaml]
        tests:
          - start_timestamp: {{start}}
            input_series: [{ series: latency_seconds, values: 0 2 }]
            alert_rule_test: [{ eval_time: 1m, alertname: Slow, exp_alerts: [{ }] }, { eval_time: 0s, alertname: Slow }]
            promql_expr_test: [{ expr: timestamp(latency_seconds), eval_time: 1m, exp_samples: [{ value: 1767225690 }] }]
        """));

    [Fact]
    public async Task Every_fault_of_a_file_is_told_with_its_place()
    {
        var report = await RunAsync(
            """
            rule_files: [rules.yaml, {}]
            evaluation_interval: 0s
            group_eval_order: [g, g]
            fuzzy_compare: perhaps
            agents: [{ cluster: c, node: n }]
            tests:
              - interval: soon
                start_timestamp: then
                tests: []
                input_series:
                  - { series: up, values: 1 2 three }
                  - { series: 'up{a!="b"}', values: "1" }
                  - { series: down }
                  - { series: x, values: "1 {{schema:1}}" }
                  - { series: y, values: 1 }
                  - { series: y, values: 2 }
                alert_rule_test: [{ eval_time: 1m, exp_alerts: [{ exp_state: gone, exp_labels: [] }] }]
                promql_expr_test:
                  - { expr: sum(, exp_samples: [{ labels: up, value: much }] }
                  - { expr: up, exp_samples: [{ labels: up, histogram: "{{}}" }] }
            """);
        string[] expected =
        [
            "1:26: a rule file must be a text",
            "2:22: evaluation_interval must be longer than zero",
            "3:23: the group \"g\" is in the order twice",
            "4:16: fuzzy_compare: \"perhaps\" is not one of false, true",
            "5:10: an agent needs tenant",
            "7:15: interval: \"soon\" is not a duration",
            "8:22: start_timestamp: \"then\" is not a time",
            "9:5: unknown key \"tests\" in a test",
            "11:35: \"three\" is not a value",
            "12:20: a series is a name and labels",
            "13:9: values must be given, as a text",
            "14:33: native histograms ({{…}}) are not supported",
            "16:9: the series y is given twice",
            "17:23: an alert test needs alertname",
            "17:66: exp_state: \"gone\" is not one of firing, pending, unknown",
            "17:84: exp_labels must be a mapping",
            "19:21: unexpected the end of the expression",
            "19:58: value: \"much\" is not a number",
            "20:60: native histograms are not supported",
        ];
        var errors = report.Errors.Select(e => $"{e.Line}:{e.Column}: {e.Reason}").ToList();
        Assert.All(expected, e => Assert.Contains(errors, x => x.StartsWith(e, StringComparison.Ordinal)));
        Assert.Equal(expected.Length, errors.Count);
    }

    [Fact]
    public async Task What_can_hardly_be_meant_is_a_warning()
    {
        var report = await RunAsync(
            """
            rule_files: [rules.yaml, none/*.yaml]
            tests:
              - external_labels: { cluster: c }
                alert_rule_test: [{ eval_time: 1m, alertname: Dwon }]
            """);
        Assert.Empty(report.Errors);
        Assert.Equal(["1:26", "3:22", "4:23"], report.Warnings.Select(w => $"{w.Line}:{w.Column}"));
    }

    [Fact]
    public async Task A_rule_that_fails_ends_the_test_with_its_reason()
    {
        var report = await RunAsync(
            """
            rule_files: [bad.yaml]
            tests:
              - name: mine
                input_series: [{ series: 'x{a="1"}', values: _ 1 }, { series: 'x{a="2"}', values: _ 1 }]
                alert_rule_test: [{ eval_time: 1h, alertname: A }]
            """, "groups: [{ name: g, rules: [{ alert: A, expr: x, labels: { a: same } }] }]");
        Assert.StartsWith(
            "test \"mine\": the rule A fails after 1m: two elements become the same alert", Assert.Single(report.Errors).Reason,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_examples_of_the_documentation_hold()
    {
        var examples = Repository.Examples("docs/rules.md", "yaml");
        File.WriteAllText(Path.Combine(_folder, "mine.yaml"), examples[0]);
        File.WriteAllText(
            Path.Combine(_folder, "disk.yaml"), "groups: [{ name: g, rules: [{ alert: ReadOnly, expr: node_filesystem_readonly == 1 }] }]");
        File.WriteAllText(Path.Combine(_folder, "hidden.yaml"), examples[1]);
        Assert.Single(RuleSet.Load([Path.Combine(_folder, "hidden.yaml")]).Rules!.InhibitRules);
        foreach (var tests in examples.Skip(2))
            Holds(await RunAsync(tests));
    }

    static void Holds(RuleTestReport report)
    {
        Assert.Empty(report.Errors);
        Assert.Empty(report.Warnings);
        Assert.NotEqual(0, report.Checks);
    }

    Task<RuleTestReport> RunAsync(string tests, string other = "groups: []")
    {
        File.WriteAllText(Path.Combine(_folder, "rules.yaml"), Rules);
        File.WriteAllText(Path.Combine(_folder, "bad.yaml"), other);
        File.WriteAllText(Path.Combine(_folder, "tests.yaml"), tests);
        return RuleTester.RunAsync(Path.Combine(_folder, "tests.yaml"), TestContext.Current.CancellationToken);
    }
}
