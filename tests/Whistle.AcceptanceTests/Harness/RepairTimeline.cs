using System.Net.Http.Json;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Alerting;
using Whistle.Alerting.Mail;
using Whistle.Alerting.PagerDuty;
using Whistle.Detectors.Signals;
using Whistle.Incidents;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The whole road on one clock: a real disk that fills, the real agent with its commands over HTTP, the server with its shipped rules and
/// runbook, a real mail server and an endpoint that speaks PagerDuty's answers. A second is a pass of every stage.
/// </summary>
sealed class RepairTimeline : IAsyncDisposable
{
    public const string Filling = "NodeFilesystemSpaceFillingUp";
    public const string Runbook = "node-disk-filling";

    const double FilledAnHour = 0.044;
    static readonly TimeSpan Second = TimeSpan.FromSeconds(1);
    static readonly TimeSpan Minute = TimeSpan.FromMinutes(1);

    // Files of today are old by then, so that a policy's ages are met.
    static readonly DateTimeOffset Start = new(TimeProvider.System.GetUtcNow().UtcDateTime.Date.AddDays(60), TimeSpan.Zero);

    readonly BeginInterceptor _network;
    readonly string _policyFolder;
    int _file;

    RepairTimeline(
        NodeTimeline node, LoopDisk disk, SmtpServer smtp, PagerDutyServer pagerDuty, BeginInterceptor network, string policyFolder) =>
        (Node, Disk, Smtp, PagerDuty, _network, _policyFolder) = (node, disk, smtp, pagerDuty, network, policyFolder);

    public NodeTimeline Node { get; }

    public LoopDisk Disk { get; }

    public SmtpServer Smtp { get; }

    public PagerDutyServer PagerDuty { get; }

    public DateTimeOffset Now => Node.Now;

    public string PolicyFile => Path.Combine(_policyFolder, "policy.json");

    /// <summary>Old *.log files here may be cleaned.</summary>
    public string Spool => Path.Combine(Disk.Folder, "spool");

    /// <summary>Nothing here may be cleaned.</summary>
    public string Data => Path.Combine(Disk.Folder, "data");

    /// <summary>What fills the disk goes here, as files that are named *.log.</summary>
    public required string FilledFolder { get; set; }

    /// <summary>False: nobody writes any more.</summary>
    public bool Fills { get; set; } = true;

    /// <summary>Called once, when the agent asks for its first permit: after the lease, before the first mutation.</summary>
    public Func<Task> BetweenLeaseAndMutation
    {
        set => _network.BeforeBegin = value;
    }

    public async Task<IReadOnlyList<Incident>> IncidentsAsync()
    {
        var incidents = await Store.SinceAsync(Start, TestContext.Current.CancellationToken);
        return [.. incidents.Where(i => i.Subject["mountpoint"] == Disk.Folder)];
    }

    public async Task<Incident> IncidentAsync() => Assert.Single(await IncidentsAsync());

    public async Task<IReadOnlyList<Run>> RunsAsync() =>
        await RunStore.OfIncidentAsync((await IncidentAsync()).Id, TestContext.Current.CancellationToken);

    /// <summary>What is told of the disk's incidents, one line an entry.</summary>
    public async Task<IReadOnlyList<string>> TimelineAsync()
    {
        List<string> lines = [];
        foreach (var incident in await IncidentsAsync())
        {
            var entries = await Store.TimelineAsync(incident.Id, TestContext.Current.CancellationToken);
            lines.AddRange(entries.Select(e => $"{e.At:HH:mm:ss} {e.Kind.Word()}: {e.Text}{(e.Count > 1 ? $" ({e.Count} times)" : "")}"));
        }

        return lines;
    }

    IncidentStore Store => Node.Server.Services.GetRequiredService<IncidentStore>();

    RunStore RunStore => Node.Server.Services.GetRequiredService<RunStore>();

    /// <param name="cleanable">What fills the disk may be cleaned.</param>
    public static async Task<RepairTimeline> StartAsync(bool cleanable, CancellationToken cancellation)
    {
        var disk = LoopDisk.Mount(256);
        var smtp = await SmtpServer.StartAsync(cancellation);
        var pagerDuty = await PagerDutyServer.StartAsync(cancellation);
        var policyFolder = Directory.CreateTempSubdirectory("whistle-policy").FullName;
        var network = new BeginInterceptor();
        var alerting = new AlertingOptions
        {
            Channels =
            [
                new PagerDutyOptions { Address = pagerDuty.Address, RoutingKey = new string('k', 32) },
                new MailOptions
                {
                    Host = "127.0.0.1",
                    Port = smtp.Port,
                    Security = MailSecurity.None,
                    From = "Whistle <whistle@example.com>",
                    To = ["ops@example.com"],
                },
            ],
        };
        var node = await NodeTimeline.StartAsync(
            disk, cancellation, Start, o => o with { Alerting = alerting },
            a => a with { PolicyFile = Path.Combine(policyFolder, "policy.json"), Handler = network });
        var timeline = new RepairTimeline(node, disk, smtp, pagerDuty, network, policyFolder) { FilledFolder = "" };
        timeline.FilledFolder = cleanable ? timeline.Spool : timeline.Data;
        Directory.CreateDirectory(timeline.Spool);
        Directory.CreateDirectory(timeline.Data);
        await timeline.WritePolicyAsync(cancellation);
        return timeline;
    }

    // The machine of a test may hide a process of its own.
    public async Task WritePolicyAsync(CancellationToken cancellation) => await File.WriteAllTextAsync(
        PolicyFile,
        $$"""{ "acceptUnseenProcesses": true, "cleanPaths": [ { "root": "{{Spool}}", "patterns": ["*.log"], "minimumAge": "7d" } ] }""",
        cancellation);

    public Task SetModeAsync(string mode, CancellationToken cancellation) =>
        PutAsync("runbook-modes", new { runbook = Runbook, cluster = "c1", mode }, cancellation);

    public Task SetKillSwitchAsync(CancellationToken cancellation) =>
        PutAsync("kill-switch", new { on = true, reason = "stop it" }, cancellation);

    public async Task PostAsync(string path, object body, CancellationToken cancellation)
    {
        using var answer = await Node.Http.PostAsJsonAsync(new Uri($"api/whistle/v1/{path}", UriKind.Relative), body, cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(cancellation));
    }

    async Task PutAsync(string path, object body, CancellationToken cancellation)
    {
        using var answer = await Node.Http.PutAsJsonAsync(new Uri($"api/whistle/v1/{path}", UriKind.Relative), body, cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(cancellation));
    }

    /// <summary>Six hours of filling, then on until the warning fires.</summary>
    public async Task FillUntilPredictedAsync(CancellationToken cancellation)
    {
        Disk.FillTo(0.40);
        await Node.RunAsync(TimeSpan.FromHours(6), Minute, cancellation, () => Task.Run(() => Grow(Minute), cancellation));
        while (Node.Find(Filling, "warning", Disk) is not { State: SignalState.Firing })
        {
            Assert.True(Disk.Used < 0.8, "The prediction did not come.");
            await SecondsAsync(15, cancellation);
        }

        // The incident opens within the second.
        await SecondsAsync(1, cancellation);
    }

    public async Task UntilAsync(Func<Task<bool>> reached, TimeSpan most, CancellationToken cancellation)
    {
        for (var end = Now + most; !await reached();)
        {
            if (Now >= end)
            {
                var signals = string.Join(' ', Node.SignalsOf(Disk).Select(s => $"{s.Name} {s.State}"));
                Assert.Fail($"Not reached within {most}, {Disk.Used:P1} used, {signals}:\n{string.Join('\n', await TimelineAsync())}");
            }

            await SecondsAsync(1, cancellation);
        }
    }

    public async Task SecondsAsync(int seconds, CancellationToken cancellation)
    {
        for (var i = 0; i < seconds; i++)
        {
            Node.Clock.Advance(Second);
            if (Now.Second % 15 == 0)
            {
                Grow(15 * Second);
                await Node.ReportAsync(cancellation);
            }

            await PassAsync(cancellation);
        }
    }

    /// <summary>Passes a minute apart, where nothing depends on the seconds.</summary>
    public async Task MinutesAsync(int minutes, CancellationToken cancellation)
    {
        for (var i = 0; i < minutes; i++)
        {
            Node.Clock.Advance(Minute);
            Grow(Minute);
            await Node.ReportAsync(cancellation);
            await PassAsync(cancellation);
        }
    }

    /// <summary>Every file of the disk with its length and time of change: what "not a byte touched" is held to.</summary>
    public IReadOnlyList<string> Files() =>
        [.. new DirectoryInfo(Disk.Folder).EnumerateFiles("*", SearchOption.AllDirectories)
            .Select(f => $"{f.FullName} {f.Length} {f.LastWriteTimeUtc:O}").Order()];

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        await PagerDuty.DisposeAsync();
        await Smtp.DisposeAsync();
        _network.Dispose();
        Disk.Dispose();
        Directory.Delete(_policyFolder, recursive: true);
    }

    async Task PassAsync(CancellationToken cancellation)
    {
        await Node.Server.Rules.EvaluateAsync(Now, cancellation);
        await Node.Server.Incidents.ReconcileAsync(Now, cancellation);
        await Node.Server.Remediation.AdvanceAsync(Now, cancellation);
        // The agent's poll would wait on this clock; it is asked where there is something for it.
        if ((await RunStore.LiveAsync(cancellation)).Any(r => r.State is RunState.Running))
            await Node.LeaseAsync(cancellation);
        await Node.Server.Alerting.RunOnceAsync(Now, cancellation);
    }

    void Grow(TimeSpan time)
    {
        if (Fills)
            LoopDisk.Append(Path.Combine(FilledFolder, $"{_file++}.log"), (long)(Disk.Drive.TotalSize * FilledAnHour * time.TotalHours));
    }
}

/// <summary>The agent's way to the server; something may happen right before it asks for its first permit.</summary>
sealed class BeginInterceptor() : DelegatingHandler(new SocketsHttpHandler())
{
    public Func<Task>? BeforeBegin { get; set; }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri!.AbsolutePath.EndsWith("/begin", StringComparison.Ordinal) && BeforeBegin is { } happens)
        {
            BeforeBegin = null;
            await happens();
        }

        return await base.SendAsync(request, cancellationToken);
    }
}
