using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;

using Whistle.Alerting.Outbox;
using Whistle.Alerting.Tickets;
using Whistle.Fixtures;
using Whistle.Incidents;
using Whistle.Remediation.Runs;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests.Killing;

/// <summary>A real disk under a node's agent. Old files in its spool may be cleaned; its ballast may not.</summary>
sealed class MortalNode : IDisposable
{
    MortalNode(string name, string home) => (Name, Home) = (name, home);

    public string Name { get; }

    public string Home { get; }

    public LoopDisk Disk { get; } = LoopDisk.Mount(64);

    public string Spool => Path.Combine(Disk.Folder, "spool");

    /// <summary>How far each command came: a step and the command's id.</summary>
    public IReadOnlyList<(string Step, string Command)> Notes =>
        File.Exists(MortalAgent.NotesOf(Home))
            ? [.. File.ReadAllLines(MortalAgent.NotesOf(Home)).Select(l => l.Split(' ')).Select(l => (l[0], l[1]))] : [];

    /// <param name="files">Small files that may be cleaned, beside a large one.</param>
    public static MortalNode Create(string name, string folder, bool cleanable, int files = 1)
    {
        var node = new MortalNode(name, Directory.CreateDirectory(Path.Combine(folder, name)).FullName);
        Directory.CreateDirectory(node.Spool);
        for (var i = 0; i < files; i++)
            File.WriteAllText(Path.Combine(node.Spool, $"{i}.log"), "old");
        // The last to be cleaned: as long as it is there, the disk counts as full.
        if (cleanable)
            LoopDisk.Append(Path.Combine(node.Spool, "zz.log"), 40 << 20);
        else
            node.Disk.Write(40 << 20);
        var policy =
            $$"""
            {
              "acceptUnseenProcesses": true,
              "cleanPaths": [ { "root": "{{node.Spool}}", "patterns": ["*.log"], "minimumAge": "0s" } ]
            }
            """;
        File.WriteAllText(Path.Combine(node.Home, "policy.json"), policy);
        return node;
    }

    // The hook runs the agent, and the program's own Main is never reached; the agent's, made for native code, takes no hook.
    public Process StartAgent(Uri server, string dies) =>
        ChildProcess.StartProject("Whistle", "whistle.dll", [], new Dictionary<string, string>(Death.Hook)
        {
            [MortalAgent.Home] = Home,
            [MortalAgent.Server] = server.ToString(),
            [MortalAgent.Dies] = dies,
            [MortalAgent.Disk] = Disk.Folder,
        });

    public void Dispose() => Disk.Dispose();
}

/// <summary>
/// The server's process with nodes, a mail server and PagerDuty's endpoint, all on the real clock with short times. What became of all is
/// read from the state's file, whether the server lives or not.
/// </summary>
sealed class MortalFleet : IAsyncDisposable
{
    readonly string _folder;
    readonly ServerProcess _server;
    StateDatabase _state;
    readonly DateTimeOffset _start = TimeProvider.System.GetUtcNow();

    MortalFleet(string folder, ServerProcess server, SmtpServer smtp, PagerDutyServer pagerDuty, IReadOnlyList<MortalNode> nodes)
    {
        (_folder, _server, Smtp, PagerDuty, Nodes) = (folder, server, smtp, pagerDuty, nodes);
        _state = new StateDatabase(Path.Combine(server.DataFolder, "state.sqlite"));
    }

    public IReadOnlyList<MortalNode> Nodes { get; }

    public SmtpServer Smtp { get; }

    public PagerDutyServer PagerDuty { get; }

    public Uri Address => _server.Address;

    public string Deaths => Path.Combine(_folder, "deaths");

    /// <summary>The steps of a server that lived.</summary>
    public string Steps => Path.Combine(_folder, "steps");

    public async Task<IReadOnlyList<Incident>> IncidentsAsync() => await new IncidentStore(_state).SinceAsync(_start, Cancellation);

    public async Task<IReadOnlyList<Notification>> NotificationsAsync() =>
        await new OutboxStore(_state).ListAsync(null, null, 10_000, Cancellation);

    public async Task<IReadOnlyList<Ticket>> TicketsAsync() =>
        await new TicketStore(_state, TimeProvider.System).ListAsync(cancellation: Cancellation);

    public async Task<IReadOnlyList<Run>> RunsAsync(Incident incident) =>
        await new RunStore(_state).OfIncidentAsync(incident.Id, Cancellation);

    public async Task<IEnumerable<string>> TimelineAsync(Incident incident) =>
        (await new IncidentStore(_state).TimelineAsync(incident.Id, Cancellation)).Select(
            e => $"{e.At:HH:mm:ss} {e.Kind.Word()}: {e.Text}");

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <param name="create">Makes the nodes below the folder it is given.</param>
    public static async Task<MortalFleet> StartAsync(Func<string, IReadOnlyList<MortalNode>> create, CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("whistle-mortal").FullName;
        var smtp = await SmtpServer.StartAsync(cancellation);
        var pagerDuty = await PagerDutyServer.StartAsync(cancellation);
        var nodes = create(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "rules.yaml"), Rules(nodes), cancellation);
        await File.WriteAllTextAsync(Path.Combine(folder, "runbook.yaml"), Runbook, cancellation);
        var config = Path.Combine(folder, "config.json");
        await File.WriteAllTextAsync(config, Settings(smtp, pagerDuty), cancellation);
        var server = new ServerProcess(
            Path.Combine(folder, "data"), "--no-agent", "--config", config, "--rules", Path.Combine(folder, "rules.yaml"), "--runbooks",
            Path.Combine(folder, "runbook.yaml"));
        var fleet = new MortalFleet(folder, server, smtp, pagerDuty, nodes);
        foreach (var (name, value) in Death.Hook)
            server.Environment[name] = value;
        server.Environment[CommitDeath.Variable] = fleet.Steps;
        server.Environment[CommitDeath.Lives] = "yes";
        // Its first life makes the tables, and nothing has happened in it yet.
        await server.StartAsync(cancellation);
        foreach (var node in nodes)
            PrivateText.Write(Path.Combine(node.Home, "token"), await server.EnrollAsync("c1", node.Name));
        using var answer = await server.Http.PutAsJsonAsync(
            new Uri("api/whistle/v1/runbook-modes", UriKind.Relative), new { runbook = "disk-full", cluster = "c1", mode = "automatic" },
            cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(cancellation));
        return fleet;
    }

    public string DataFolder => _server.DataFolder;

    /// <summary>Ends the server, lets somebody work on its folder, and starts it again on what is there then.</summary>
    public async Task WithoutServerAsync(Func<Task> work, CancellationToken cancellation)
    {
        await _server.KillAsync();
        _state.Dispose();
        await work();
        await _server.StartAsync(cancellation);
        _state = new StateDatabase(Path.Combine(DataFolder, "state.sqlite"));
    }

    /// <summary>Goes on until it is reached; the server stays alive.</summary>
    public async Task LiveAsync(Func<Task<bool>> reached, CancellationToken cancellation)
    {
        while (!await reached())
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, cancellation);
    }

    /// <summary>One server after another, each of which dies at its first step, until it is reached.</summary>
    /// <returns>How many died.</returns>
    public async Task<int> LiveAndDieAsync(Func<Task<bool>> reached, CancellationToken cancellation)
    {
        await _server.KillAsync();
        for (var deaths = 0; ; deaths++)
        {
            using var process = _server.StartMortal(new Dictionary<string, string>(Death.Hook) { [CommitDeath.Variable] = Deaths });
            // The poll is of another process's real progress.
            while (!process.HasExited)
            {
                if (await reached())
                {
                    await process.KillAndWaitAsync();
                    return deaths;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation);
            }

            var noted = File.Exists(Deaths) ? File.ReadLines(Deaths).Count() : 0;
            Assert.True(
                noted == deaths + 1, $"The server ended by itself, after {deaths} deaths of which {noted} are noted; see the output.");
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _state.Dispose();
        await PagerDuty.DisposeAsync();
        await Smtp.DisposeAsync();
        foreach (var node in Nodes)
            node.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    static string Rules(IReadOnlyList<MortalNode> nodes) => $"""
        groups:
          - name: disks
            interval: 1s
            rules:
              - alert: DiskFull
                expr: |
                  {string.Join("\n          or ", nodes.Select(Expression))}
                labels:
                  severity: warning
        """;

    static string Expression(MortalNode node)
    {
        var selector = $$"""{node="{{node.Name}}", mountpoint="{{node.Disk.Folder}}"}""";
        return $"node_filesystem_avail_bytes{selector} / node_filesystem_size_bytes{selector} < 0.5";
    }

    static readonly string[] Recipients = ["ops@example.com"];

    const string Runbook = """
        name: disk-full
        summary: Free space on a full disk
        answers:
          - signal: DiskFull
            labels: { mountpoint: /.* }
        mode: automatic
        gates:
          sustained: 1s
          freshness: 1m
          maxConcurrent: { node: 1, cluster: 20, fleet: 20 }
          coolDown: 3s
          attempts: 2
        steps:
          - name: measure
            action: disk.largest-directories
            parameters: { mountPoint: "${mountpoint}", count: 5 }
            timeout: 2m
            onFailure: continue
          - name: clean
            action: disk.clean-paths
            parameters: { mountPoint: "${mountpoint}" }
            timeout: 2m
            onFailure: continue
        verify:
          within: 20s
          for: 1s
        page: { attach: [measure] }
        ticket: { attach: [measure] }
        ladder: [escalate]
        """;

    static string Settings(SmtpServer smtp, PagerDutyServer pagerDuty) => JsonSerializer.Serialize(new
    {
        Incidents = new { ClearFor = "3s" },
        // Long enough that only a repair that gave up pages, however often the server dies.
        Alerting = new
        {
            CriticalDeadline = "1h",
            WarningDeadline = "1h",
            DigestAfter = "1s",
            PagerDuty = new { RoutingKey = new string('k', 32), Address = pagerDuty.Address },
            Mail = new { Host = "127.0.0.1", smtp.Port, Security = "None", From = "Whistle <whistle@example.com>", To = Recipients },
        },
    });
}
