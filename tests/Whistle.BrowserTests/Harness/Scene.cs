using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

using Whistle.Actions.Protocol;
using Whistle.Incidents;
using Whistle.Ingest.Logs;
using Whistle.Inventory;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>
/// The whole server in this process, with the shipped runbook, on a clock that the test moves. Nodes are disks that report, and a scripted
/// agent that does what it is told. The rules are short, so that a disk is found within a minute.
/// </summary>
sealed class Scene : IAsyncDisposable
{
    const string Rules =
        """
        groups:
          - name: disk
            interval: 15s
            rules:
              - alert: NodeFilesystemSpaceFillingUp
                expr: node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.25
                labels: { severity: warning }
                annotations:
                  summary: "{{ $labels.mountpoint }} on {{ $labels.node }} runs out of space within 24 hours"
                  description: "{{ $labels.mountpoint }} ({{ $labels.device }}) on {{ $labels.node }} has {{ $value | humanizePercentage }}
                    of its space left and has been filling for hours."
              - alert: NodeFilesystemAlmostOutOfSpace
                expr: node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.03
                labels: { severity: critical }
                annotations: { summary: "{{ $labels.mountpoint }} on {{ $labels.node }} is almost full" }
        """;

    static readonly DateTimeOffset Start = new(2026, 3, 1, 14, 0, 0, TimeSpan.Zero);
    static readonly TimeSpan Step = TimeSpan.FromSeconds(15);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-browser-").FullName;
    string? _runbook;
    Uri _listen = new("http://127.0.0.1:0");

    public FakeTimeProvider Clock { get; } = new(Start);

    public DateTimeOffset Now => Clock.GetUtcNow();

    public WhistleApp App { get; private set; } = null!;

    public List<Disk> Disks { get; } = [];

    /// <summary>False: no agent takes a command.</summary>
    public bool AgentWorks { get; set; } = true;

    public IncidentStore Incidents => App.Services.GetRequiredService<IncidentStore>();

    public RunStore Runs => App.Services.GetRequiredService<RunStore>();

    public ControlStore Control => App.Services.GetRequiredService<ControlStore>();

    public static Task<Scene> StartAsync(CancellationToken cancellation, params IReadOnlyList<Disk> disks) =>
        StartAsync(null, cancellation, disks);

    /// <param name="runbook">In place of the shipped ones.</param>
    public static async Task<Scene> StartAsync(string? runbook, CancellationToken cancellation, params IReadOnlyList<Disk> disks)
    {
        var scene = new Scene();
        if (runbook is not null)
        {
            scene._runbook = Path.Combine(scene._folder, "runbook.yaml");
            await File.WriteAllTextAsync(scene._runbook, runbook, cancellation);
        }

        scene.Disks.AddRange(disks);
        await File.WriteAllTextAsync(Path.Combine(scene._folder, "rules.yaml"), Rules, cancellation);
        await scene.ComeAsync(cancellation);
        foreach (var node in disks.Select(d => d.Node).Distinct())
            await scene.App.Credentials.EnrollAsync(node.ClusterId, node.Node, TestContext.Current.CancellationToken);
        if (disks.Count > 0)
            await scene.ReportAsync([.. Enumerable.Range(0, 361).Select(m => scene.Now.AddMinutes(m - 360))]);
        return scene;
    }

    /// <summary>The server goes; what it has stored stays.</summary>
    public async Task GoAsync() => await App.DisposeAsync();

    /// <summary>A server on the same state, at the same address as the one before.</summary>
    public async Task ComeAsync(CancellationToken cancellation)
    {
        var options = new WhistleOptions
        {
            DataFolder = Path.Combine(_folder, "data"),
            Listen = [_listen],
            Agent = false,
            Rules = [Path.Combine(_folder, "rules.yaml")],
            Log = new TelemetryLogOptions { GroupCommit = TimeSpan.Zero },
            Time = Clock,
            RunTimers = false,
        };
        App = await WhistleApp.OpenAsync(_runbook is null ? options : options with { Runbooks = [_runbook] }, cancellation);
        await App.StartAsync(cancellation);
        _listen = App.Address;
    }

    /// <summary>A table that is gone: what a state file that cannot be read looks like from above.</summary>
    public async Task BreakAsync(bool isBroken)
    {
        await using var connection = await App.Services.GetRequiredService<StateDatabase>().OpenAsync(
            TestContext.Current.CancellationToken);
        await connection.RunScriptAsync(
            isBroken ? "ALTER TABLE acknowledgements RENAME TO lost" : "ALTER TABLE lost RENAME TO acknowledgements",
            TestContext.Current.CancellationToken);
    }

    public async Task SetModeAsync(string cluster, RunbookMode mode) =>
        await Control.SetAsync(new ModeEntry("node-disk-filling", "", cluster, mode, "test", Now), TestContext.Current.CancellationToken);

    /// <summary>Every stage once, 15 seconds later than before.</summary>
    public async Task StepAsync(CancellationToken cancellation)
    {
        Clock.Advance(Step);
        Disks.ForEach(d => d.Grow(Step));
        await ReportAsync([Now]);
        await App.Rules.EvaluateAsync(Now, cancellation);
        await App.Incidents.ReconcileAsync(Now, cancellation);
        await App.Remediation.AdvanceAsync(Now, cancellation);
        if (AgentWorks)
            await WorkAsync();
        await App.Alerting.RunOnceAsync(Now, cancellation);
    }

    public async Task StepsAsync(int steps, CancellationToken cancellation)
    {
        for (var i = 0; i < steps; i++)
            await StepAsync(cancellation);
    }

    public async Task UntilAsync(Func<Task<bool>> reached, CancellationToken cancellation)
    {
        for (var i = 0; i < 200 && !await reached(); i++)
            await StepAsync(cancellation);
        if (!await reached())
            throw new InvalidOperationException($"Not reached by {Now:u}: {string.Join(
                "; ", (await Incidents.ActiveAsync(TestContext.Current.CancellationToken)).Select(x => $"{x.Title} {x.State}"))}");
    }

    /// <summary>Incidents that no rule has made, as a busy day would have left them.</summary>
    public async Task AddAsync(IEnumerable<Incident> incidents) => await Incidents.SaveAsync(
        [.. incidents.Select(i => new IncidentChange(i, [(TimelineKind.Opened, i.Title)]))], Now, TestContext.Current.CancellationToken);

    public static Incident Incident(
        int number, DateTimeOffset at, string title, Labels subject, string severity = "warning", string cluster = "production") =>
        new()
        {
            Id = $"i{number:x16}",
            Tenant = "acme",
            Cluster = cluster,
            Subject = subject,
            Title = title,
            Severity = severity,
            State = IncidentState.Open,
            OpenedAt = at,
            Signals = [new((ulong)number, "NodeFilesystemSpaceFillingUp", subject.With("severity", severity), severity, at, null)],
        };

    public async ValueTask DisposeAsync()
    {
        await GoAsync();
        Directory.Delete(_folder, recursive: true);
    }

    async Task ReportAsync(IReadOnlyList<DateTimeOffset> times)
    {
        var log = App.Services.GetRequiredService<TelemetryLog>();
        await log.RecordAsync(
        [
            .. Disks.SelectMany(d => d.Series(times)).DistinctBy(s => s.Labels)
                .SelectMany(s => s.Samples.Select(sample => new RecordedSample(new(s.Labels), sample.Time, sample.Value))),
        ]);
    }

    async Task WorkAsync()
    {
        foreach (var disk in Disks)
        {
            var sender = new Sender(disk.Node);
            foreach (var command in await App.Remediation.Agents.LeaseAsync(sender, Now, TestContext.Current.CancellationToken))
                await App.Remediation.Agents.FinishAsync(
                    sender, command.Id, await DoAsync(disk, sender, command), TestContext.Current.CancellationToken);
        }
    }

    async Task<CommandResult> DoAsync(Disk disk, Sender sender, Remediation.Commands.Command command)
    {
        if (command.Action == "disk.largest-directories")
            return new(
                command.Token, CommandOutcome.Succeeded,
                $"Measured {disk.Mountpoint}: {disk.Mountpoint}/spool is the largest with 41.2 GiB.", Json(
                    $$"""
                    {"largestDirectories":[{"path":"{{disk.Mountpoint}}/spool","bytes":44239000000},
                    {"path":"{{disk.Mountpoint}}/images","bytes":12100000000}]}
                    """));
        if (await App.Remediation.BeginAsync(
            sender, command.Id, command.Token, TestContext.Current.CancellationToken) is not { Granted: true } answer)
            return new(command.Token, CommandOutcome.Refused, "The permit was not given.", null);
        if (disk.Cleaned is not { } left)
            return new(
                command.Token, CommandOutcome.Refused, "The node's policy names nothing below this mount that may be cleaned.", null);
        var freed = (disk.Used - left) * 100;
        disk.Used = left;
        return new(
            command.Token, CommandOutcome.Succeeded, $"Deleted 1,284 files, {freed:0.0} GiB.",
            Json($$"""{"deletedFiles":1284,"freedBytes":{{(long)(freed * 1073741824)}}}"""));
    }

    static JsonElement Json(string text) => JsonDocument.Parse(text).RootElement;
}
