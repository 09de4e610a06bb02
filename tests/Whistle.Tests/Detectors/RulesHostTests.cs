using Whistle.Detectors.Signals;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed class RulesHostTests
{
    const string Threshold =
        """
        groups:
          - name: g
            rules:
              - alert: Low
                expr: node_filesystem_avail_bytes < 10
                for: 3m
                labels: { severity: warning }
                annotations: { summary: "{{ $labels.mountpoint }} has {{ $value }}" }
        """;

    const string Forecast =
        """
        groups:
          - name: g
            rules:
              - alert: Low
                expr: predict_linear(node_filesystem_avail_bytes[1h], 3600) < 50
        """;

    /// <summary>
    /// One letter a minute: what the agent sends, and the signal's state after the evaluation. d: disk low. D: disk well. f: the filesystem
    /// collector fails, others succeed. x: nothing arrives. m: unmounted, with staleness markers. n: not in the report.
    /// s: the server is down while the agent reports. Restart before the letter: |. States as in <see cref="TransitionTests"/>.
    /// </summary>
    [Theory]
    [InlineData("it fires after its for", "ddddd", "pppFF")]
    [InlineData("a disk with space again is cleared", "dddddD", "pppFFC")]
    [InlineData("silence is unknown after two intervals", "dddd" + "xxxxx", "pppF" + "FFuuu")]
    [InlineData("a failing collector is unknown, however the agent is", "dddd" + "fffff", "pppF" + "FFuuu")]
    [InlineData("an unmounted disk is gone", "ddddm", "pppFG")]
    [InlineData("a disk that is not reported any more is gone", "dddd" + "nnn", "pppF" + "FFG")]
    [InlineData("unmounted while unknown is gone on return", "dddd" + "xxxxx" + "n", "pppF" + "FFuuu" + "G")]
    [InlineData("the state survives a restart", "dd|ddd", "pppFF")]
    [InlineData("the for clock stands while the server is down", "dd" + "sssss" + "|ddd", "pp" + "....." + "pFF")]
    [InlineData("a restart into silence resolves nothing", "dddd" + "xxxx" + "|xx", "pppF" + "FFuu" + "uu")]
    public async Task A_signal_follows_its_disk_and_its_source(string what, string sent, string states)
    {
        var lived = await LiveAsync(Threshold, sent);
        Assert.True(states == lived, $"{what}: {states} was expected, it was {lived}");
    }

    [Fact]
    public async Task A_source_with_an_interval_of_its_own_is_unknown_after_two_of_those()
    {
        using var bench = new RulesBench(Threshold);
        await bench.LoadAsync();
        var states = "";
        for (var minute = 0; minute < 10; minute++)
        {
            bench.Report("cpu");
            if (minute is 0 or 2 or 4)
            {
                bench.Report("filesystem");
                bench.Disk(used: 90);
            }

            // Every report of the agent may say it; only some are of the source.
            bench.Series.Add(RulesBench.Of("whistle_agent_interval_seconds", ("collector", "filesystem")), bench.Now, 120);
            await bench.StepAsync();
            states += bench.Signal("Low")?.State.ToString()[0] ?? '.';
        }

        Assert.Equal("PPPFFFFFFU", states);
    }

    [Fact]
    public async Task The_interval_of_a_source_is_not_that_of_its_agent()
    {
        using var bench = new RulesBench("groups: [{ name: g, rules: [{ alert: Silent, expr: whistle_agent_up == 0 }] }]");
        await bench.LoadAsync();
        bench.Report("cpu");
        bench.Series.Add(RulesBench.Of("whistle_agent_interval_seconds", ("collector", "slow")), bench.Now, 600);
        for (var minute = 0; minute < 4; minute++)
            await bench.StepAsync();

        Assert.Equal(SignalState.Firing, bench.Signal("Silent")?.State);
    }

    [Fact]
    public async Task The_for_clock_stands_in_silence_and_goes_on_after_it() =>
        Assert.Equal("p" + "ppuuu" + "ppFF", await LiveAsync(Threshold.Replace("3m", "5m"), "d" + "xxxxx" + "dddd"));

    [Fact]
    public async Task A_forecast_over_the_last_hours_of_an_unmounted_disk_is_gone() =>
        Assert.Equal(".FFG...", await LiveAsync(Forecast, "dddm" + "nnn"));

    [Fact]
    public async Task A_restart_keeps_annotations_value_and_since()
    {
        using var bench = new RulesBench(Threshold);
        await LiveAsync(bench, "ddddd");
        var before = bench.Signal("Low")!;
        bench.Restart();
        await bench.LoadAsync();
        var after = bench.Signal("Low")!;

        Assert.Equal(before with { Annotations = after.Annotations }, after);
        Assert.Equal(before.Annotations, after.Annotations);
        Assert.Equal(new Label("summary", "/data has 5"), Assert.Single(after.Annotations));
        Assert.Equal(RulesBench.Start, after.Condition.Since);
    }

    [Fact]
    public async Task An_ended_signal_stays_in_the_history_with_how_it_ended()
    {
        using var bench = new RulesBench(Threshold);
        await LiveAsync(bench, "ddddm");
        var ended = Assert.Single(await bench.Host.EndedSignalsAsync(RulesBench.Start, TestContext.Current.CancellationToken));

        Assert.Equal(SignalEnd.Gone, ended.Condition.Reason);
        Assert.Equal("/data", ended.Labels["mountpoint"]);
    }

    [Fact]
    public async Task The_alert_is_a_series_that_ends_with_a_staleness_marker()
    {
        using var bench = new RulesBench(Threshold);
        await LiveAsync(bench, "ddddD");
        var series = await bench.Series.SelectAsync([new(Labels.MetricName, MatchOperator.Equal, "ALERTS")], 0, bench.Now, default);

        var pending = series.Single(s => s.Labels["alertstate"] == "pending");
        var firing = series.Single(s => s.Labels["alertstate"] == "firing");
        Assert.Equal(4, pending.Values.Length);
        Assert.True(StaleMarker.Is(pending.Values[^1]));
        Assert.Equal(2, firing.Values.Length);
        Assert.True(StaleMarker.Is(firing.Values[^1]));
        Assert.Equal("Low", firing.Labels["alertname"]);
    }

    [Fact]
    public async Task A_recording_rule_writes_and_a_later_rule_of_the_group_reads_it()
    {
        using var bench = new RulesBench(
            """
            groups:
              - name: g
                labels: { team: a }
                rules:
                  - record: node:avail:min
                    expr: min by (node, tenant, cluster) (node_filesystem_avail_bytes)
                  - alert: Low
                    expr: node:avail:min < 10
            """);

        Assert.Equal("FFFFuF", await LiveAsync(bench, "ddxxxd"));
        var series = await bench.Series.SelectAsync([new(Labels.MetricName, MatchOperator.Equal, "node:avail:min")], 0, bench.Now, default);
        Assert.Equal("a", Assert.Single(series).Labels["team"]);
    }

    [Fact]
    public async Task A_reload_with_errors_leaves_the_rules_in_force_and_one_without_keeps_the_clocks()
    {
        using var bench = new RulesBench(Threshold);
        await LiveAsync(bench, "dd");
        File.WriteAllText(bench.RulesFile, "groups: 1");
        Assert.Single((await bench.Host.ReloadAsync(default)).Errors);
        Assert.Equal(1, bench.Host.Rules.RuleCount);
        File.WriteAllText(bench.RulesFile, Threshold.Replace("< 10", "< 11"));
        await bench.LoadAsync();

        Assert.Equal("pF", await LiveAsync(bench, "dd"));
        File.WriteAllText(bench.RulesFile, "groups: []");
        await bench.LoadAsync();
        Assert.Empty(bench.Host.Signals);
        Assert.Equal(
            SignalEnd.Withdrawn,
            Assert.Single(await bench.Host.EndedSignalsAsync(RulesBench.Start, TestContext.Current.CancellationToken)).Condition.Reason);
    }

    [Fact]
    public async Task A_rule_that_fails_is_counted_and_costs_the_others_nothing()
    {
        using var bench = new RulesBench(
            """
            groups:
              - name: g
                limit: 1
                rules:
                  - alert: Two
                    expr: '{__name__=~"node_filesystem_.*"}'
                  - alert: Low
                    expr: node_filesystem_avail_bytes < 10
            """);

        Assert.Equal("F", await LiveAsync(bench, "d"));
        Assert.Contains("limit is 1", bench.Host.Groups[0].Rules[0].Report.Error);
        using var metrics = new MemoryStream();
        await bench.Metrics.CollectAndExportAsTextAsync(metrics);
        Assert.Contains(
            "whistle_rule_evaluation_failures_total{rule_group=\"rules.yaml;g\"} 1",
            System.Text.Encoding.UTF8.GetString(metrics.ToArray()));
    }

    [Fact]
    public async Task An_annotation_whose_query_the_store_does_not_answer_costs_no_alert_and_a_label_is_not_changed_by_it()
    {
        using var bench = new RulesBench(
            """
            groups:
              - name: g
                rules:
                  - alert: Low
                    expr: node_filesystem_avail_bytes < 10
                    annotations: { before: '{{ query "far offset 1d" | len }}' }
                  - alert: Labelled
                    expr: node_filesystem_avail_bytes < 10
                    labels: { before: '{{ query "far offset 1d" | len }}' }
            """);
        Assert.Equal("F", await LiveAsync(bench, "d"));
        var labelled = bench.Signal("Labelled")!;
        bench.Unanswered = "far";

        Assert.Equal("F", await LiveAsync(bench, "d"));
        Assert.Equal(
            "<error expanding template: query: The store does not answer.>", Assert.Single(bench.Signal("Low")!.Annotations).Value);
        Assert.Null(bench.Host.Groups[0].Rules[0].Report.Error);
        Assert.Equal("The store does not answer.", bench.Host.Groups[0].Rules[1].Report.Error);
        Assert.Equal((SignalState.Firing, labelled.Labels), (bench.Signal("Labelled")!.State, bench.Signal("Labelled")!.Labels));
    }

    [Fact]
    public async Task A_template_reads_what_a_rule_before_it_has_recorded()
    {
        using var bench = new RulesBench(
            """
            groups:
              - name: g
                rules:
                  - alert: Early
                    expr: node_filesystem_avail_bytes < 10
                    annotations: { sum: '{{ range query "recorded" }}{{ .Value }}{{ end }}' }
                  - record: recorded
                    expr: time() - time() + 7
                  - alert: Low
                    expr: node_filesystem_avail_bytes < 10
                    annotations: { sum: '{{ range query "recorded" }}{{ .Value }}{{ end }}' }
            """);

        Assert.Equal("F", await LiveAsync(bench, "d"));
        Assert.Equal(
            ("", "7"), (Assert.Single(bench.Signal("Early")!.Annotations).Value, Assert.Single(bench.Signal("Low")!.Annotations).Value));
    }

    [Theory]
    [InlineData("annotations", 1001, null)]
    [InlineData("labels", 0, "the templates of the rule ask more than 1000 different queries")]
    public async Task Past_a_thousand_queries_of_a_rule_annotations_say_so_and_labels_fail_it(string where, int signals, string? error)
    {
        using var bench = new RulesBench(
            $$$"""
            groups:
              - name: g
                rules:
                  - alert: Many
                    expr: many > 0
                    {{{where}}}: { same: '{{ $labels.i | printf "many{i=%q}" | query | len }}' }
                  - alert: Other
                    expr: many > 1000
                    {{{where}}}: { same: '{{ $labels.i | printf "many{i=%q}" | query | len }}' }
            """);
        await bench.LoadAsync();
        bench.Report("filesystem");
        for (var i = 1; i <= 1001; i++)
            bench.Series.Add(RulesBench.Of("many", ("i", $"{i}")), bench.Now, i);
        await bench.StepAsync();

        Assert.Equal(signals, bench.Host.Signals.Count(s => s.Name == "Many"));
        Assert.Equal(error, bench.Host.Groups[0].Rules[0].Report.Error);
        if (signals > 0)
            Assert.Single(
                bench.Host.Signals,
                s => s.Name == "Many" && s.Annotations[0].Value.Contains("more than 1000 different queries", StringComparison.Ordinal));
        Assert.Equal(
            "1",
            bench.Signal("Other") is { } other ? other.Annotations.Select(a => a.Value).FirstOrDefault() ?? other.Labels["same"] : null);
    }

    [Fact]
    public async Task A_silent_node_is_told_from_the_inventory_and_its_removal_ends_that()
    {
        using var bench = new RulesBench();
        await bench.LoadAsync();
        var states = "";
        for (var minute = 0; minute < 18; minute++)
        {
            if (minute is < 4 or > 10)
                bench.Report("cpu", "filesystem");
            if (minute == 9)
                bench.Inventory.Add(new(new("t", "c", "never"), bench.Clock.GetUtcNow()));
            if (minute == 14)
                bench.Inventory.RemoveAt(1);
            await bench.StepAsync(TimeSpan.FromSeconds(15));
            states += bench.Host.Signals.Count(s => s is { Name: "NodeSilent", State: SignalState.Firing });
        }

        // The first is back in minute 11, the other is taken out in minute 14, and both are kept firing for two more.
        Assert.Equal("000000" + "1111" + "222" + "111" + "00", states);
        Assert.Equal([SignalEnd.Gone, SignalEnd.Cleared], (await bench.Host.EndedSignalsAsync(
            RulesBench.Start, TestContext.Current.CancellationToken)).Select(s => s.Condition.Reason!.Value));
    }

    [Fact]
    public async Task A_pushed_series_whose_target_nobody_scrapes_fires_and_its_silence_is_unknown()
    {
        using var bench = new RulesBench("""
            groups:
              - name: g
                rules:
                  - alert: Late
                    expr: backup_age_seconds > 10
            """);
        bench.Inventory.Clear();
        await bench.LoadAsync();
        var states = new List<SignalState?>();
        for (var minute = 0; minute < 9; minute++)
        {
            if (minute < 2)
                bench.Series.Add(
                    Labels.OfMetric("backup_age_seconds", ("job", "backup"), ("instance", "a"), ("tenant", "t")), bench.Now, 60);
            await bench.StepAsync();
            states.Add(bench.Signal("Late")?.State);
        }

        Assert.Equal([SignalState.Firing, SignalState.Firing], states[..2]);
        Assert.Equal([SignalState.Unknown, SignalState.Unknown], states[^2..]);
    }

    [Fact]
    public async Task The_signals_are_the_same_list_until_the_next_evaluation()
    {
        using var bench = new RulesBench(Threshold);
        await LiveAsync(bench, "d");
        var signals = bench.Host.Signals;
        Assert.Single(signals);
        Assert.Same(signals, bench.Host.Signals);
        await LiveAsync(bench, "d");
        Assert.NotSame(signals, bench.Host.Signals);
        Assert.NotEqual(signals.Version, bench.Host.Signals.Version);
    }

    [Fact]
    public async Task No_version_of_the_signals_comes_again_after_a_restart()
    {
        using var before = new RulesBench(Threshold);
        using var after = new RulesBench(Threshold);
        await LiveAsync(before, "d");
        await LiveAsync(after, "e");
        Assert.NotEqual(before.Host.Signals.Version, after.Host.Signals.Version);
    }

    static async Task<string> LiveAsync(string rules, string sent)
    {
        using var bench = new RulesBench(rules);
        return await LiveAsync(bench, sent);
    }

    static async Task<string> LiveAsync(RulesBench bench, string sent)
    {
        if (bench.Minute == 0)
            await bench.LoadAsync();
        var states = "";
        foreach (var letter in sent)
        {
            if (letter == '|')
            {
                bench.Restart();
                await bench.LoadAsync();
                continue;
            }

            Send(bench, letter);
            var before = bench.Host.Signals.Count;
            if (letter == 's')
                bench.Pass();
            else
                await bench.StepAsync();
            states += letter == 's' ? '.' : await LetterAsync(bench, before);
        }

        return states;
    }

    static void Send(RulesBench bench, char letter)
    {
        if (letter == 'x')
            return;
        bench.Report(letter == 'f' ? ["cpu"] : ["cpu", "filesystem"]);
        if (letter is 'd' or 's')
            bench.Disk(90);
        else if (letter == 'D')
            bench.Disk(20);
        else if (letter == 'm')
            bench.Unmount();
    }

    static async Task<char> LetterAsync(RulesBench bench, int before)
    {
        if (bench.Signal("Low") is { } signal)
            return signal.State switch
            {
                SignalState.Pending => 'p',
                SignalState.Firing => 'F',
                _ => 'u',
            };
        if (before == 0)
            return '.';
        return (await bench.Host.EndedSignalsAsync(
            RulesBench.Start, TestContext.Current.CancellationToken))[0].Condition.Reason is SignalEnd.Gone ? 'G' : 'C';
    }
}
