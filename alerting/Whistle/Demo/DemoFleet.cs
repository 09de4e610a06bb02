using Whistle.Agent.Settings;
using Whistle.Inventory;

namespace Whistle.Demo;

/// <summary>All simulated nodes, on one set of connections.</summary>
sealed class DemoFleet : IDisposable
{
    // As many as keep the log's commits large; more would only wait.
    const int Connections = 32;
    const int Backfills = 4;
    const int LargeFleet = 200;

    static readonly int Interval = (int)AgentOptions.LongestInterval.TotalSeconds;

    // Of the nodes that have no part in the script, so that a large fleet is filled in soon.
    static readonly TimeSpan CoarseStep = TimeSpan.FromMinutes(5);
    static readonly TimeSpan FineStep = TimeSpan.FromMinutes(1);

    readonly SocketsHttpHandler _network =
        new() { AllowAutoRedirect = false, UseCookies = false, UseProxy = false, MaxConnectionsPerServer = Connections };
    readonly Dictionary<(string Cluster, string Node), SimulatedNode> _byName;
    readonly List<SimulatedNode>[] _bySecond;
    readonly IReadOnlyList<SimulatedNode> _nodes;

    DemoFleet(IReadOnlyList<(NodeSpec Spec, string Token)> enrolled, Uri server, string folder, TimeProvider clock)
    {
        _nodes =
        [
            .. enrolled.Select(e => new SimulatedNode(e.Spec, new AgentOptions
            {
                Server = server,
                Token = e.Token,
                Buffer = new BufferOptions { Folder = Path.Combine(folder, e.Spec.Cluster, e.Spec.Name) },
                Instance = e.Spec.Name,
                PolicyFile = null,
                Time = clock,
                Handler = _network,
            })),
        ];
        _byName = _nodes.ToDictionary(n => (n.Spec.Cluster, n.Spec.Name));
        _bySecond = [.. Enumerable.Range(0, Interval).Select(second => _nodes.Where((_, i) => i * 7 % Interval == second).ToList())];
    }

    /// <param name="folder">Where the nodes remember the commands that they have run.</param>
    public static async Task<DemoFleet> EnrollAsync(
        DemoScript script, Uri server, Credentials credentials, string folder, TimeProvider clock, CancellationToken cancellation)
    {
        var enrolled = new List<(NodeSpec, string)>();
        foreach (var spec in script.Nodes)
            enrolled.Add((spec, await credentials.EnrollAsync(new(NodeSpec.Tenant, spec.Cluster), spec.Name, cancellation)));
        return new DemoFleet(enrolled, server, folder, clock);
    }

    /// <summary>Reports that the server did not take.</summary>
    public int Lost => _lost;

    int _lost;

    public int Nodes => _nodes.Count;

    /// <summary>Sends each node's history, oldest samples first.</summary>
    /// <param name="sent">Called for each node whose history was sent, side by side.</param>
    public Task BackfillAsync(DateTimeOffset from, DateTimeOffset until, Action sent, CancellationToken cancellation)
    {
        // Of a large fleet all but the file systems is what a page of one node shows, and that is about the last hour.
        var whole = _nodes.Count <= LargeFleet ? from : until - TimeSpan.FromHours(1);
        return ForEachAsync(_nodes, Backfills, async (node, token) =>
        {
            var taken = await (node.Spec.IsScripted
                ? node.BackfillAsync(from, until, FineStep, from, token)
                : node.BackfillAsync(from, until, CoarseStep, whole, token));
            sent();
            return taken;
        }, cancellation);
    }

    /// <summary>The reports of the nodes whose turn the second is.</summary>
    public Task ReportAsync(DateTimeOffset at, CancellationToken cancellation) =>
        ReportAsync(_bySecond[at.ToUnixTimeSeconds() % Interval], at, cancellation);

    /// <summary>A report of every node.</summary>
    public Task ReportAllAsync(DateTimeOffset at, CancellationToken cancellation) => ReportAsync(_nodes, at, cancellation);

    /// <summary>
    /// Lets nodes look for commands. Those that have none are not asked: a thousand waiting polls would only cost memory.
    /// </summary>
    public Task ObeyAsync(IEnumerable<(string Cluster, string Node)> nodes, CancellationToken cancellation) =>
        Task.WhenAll(nodes.Distinct().Where(_byName.ContainsKey).Select(n => _byName[n].ObeyAsync(cancellation)));

    public void Dispose()
    {
        foreach (var node in _nodes)
            node.Dispose();
        _network.Dispose();
    }

    Task ReportAsync(IReadOnlyList<SimulatedNode> nodes, DateTimeOffset at, CancellationToken cancellation) => ForEachAsync(
        nodes.Where(n => !(at >= n.Spec.SilentFrom)), Connections, (node, token) => node.ReportAsync(at, token), cancellation);

    Task ForEachAsync(
        IEnumerable<SimulatedNode> nodes, int side, Func<SimulatedNode, CancellationToken, Task<bool>> send,
        CancellationToken cancellation) =>
        Parallel.ForEachAsync(
            nodes, new ParallelOptions { MaxDegreeOfParallelism = side, CancellationToken = cancellation }, async (node, token) =>
            {
                if (!await send(node, token))
                    Interlocked.Increment(ref _lost);
            });
}
