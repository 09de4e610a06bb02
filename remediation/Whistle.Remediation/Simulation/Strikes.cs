namespace Whistle.Remediation.Simulation;

/// <summary>What each kind of fault does.</summary>
public sealed partial class Simulator
{
    async Task StrikeAsync(Fault fault, CancellationToken cancellation)
    {
        Count(_report.Faults, fault.Kind);
        Trace($"fault {fault.Number}: {fault.Kind} at {fault.Cluster}/{fault.Node} for {fault.Length.TotalMinutes:0} min");
        var cluster = World.Clusters.ElementAt(fault.Cluster);
        var node = cluster.Nodes[fault.Node];
        switch (fault.Kind)
        {
            case "storm":
                foreach (var other in cluster.Nodes.Where(n => n.Zone == node.Zone))
                    await BreakAsync(other, fault.Twist < 0.5 ? "kubelet" : "sick", fault with { Twist = 0.5 }, cancellation);
                break;
            case "burst":
                foreach (var other in cluster.Nodes.Skip(fault.Node).Take(6))
                    await BreakAsync(
                        other, fault.Twist < 0.4 ? "disk" : fault.Twist < 0.7 ? "runtime" : "sick", fault with { Twist = 0.5 },
                        cancellation);
                break;
            case "flap":
                await AddAsync(
                    new(node, NodeFault.Find(fault.Twist < 0.5 ? "runtime" : "conntrack"), Now)
                    {
                        Hopeless = true,
                        Flaps = TimeSpan.FromMinutes(2 + (10 * fault.Twist)),
                    },
                    fault.Length * 3, cancellation);
                break;
            case "etcd":
                await BreakAsync(cluster.Nodes[fault.Node % cluster.Voters.Count()], "etcd", fault, cancellation);
                break;
            case "agent dies":
                node.Agent.Crash(fault.Length / 4);
                break;
            case "agent cut off":
                (node.Agent.CutOffFrom, node.Agent.CutOffUntil) = (Now, Now + (fault.Length / 2));
                break;
            case "agent lies":
                node.Agent.LiesUntil = Now + (fault.Length * 10);
                break;
            case "cluster silent":
                (cluster.SilentFrom, cluster.SilentUntil) = (Now, Now + (fault.Length / 2));
                In(fault.Length / 2, () => StirAsync(Stop));
                break;
            case "detector stalls":
                // Alone, or because nothing comes in.
                (World.StalledSince, World.LateSince) = (Now, fault.Twist < 0.5 ? Now : null);
                In(fault.Length / 4, async () =>
                {
                    (World.StalledSince, World.LateSince) = (null, null);
                    await StirAsync(cancellation);
                });
                break;
            case "stores fail":
                FailStores(fault.Length / 30);
                break;
            case "clock jumps":
                foreach (var server in _servers.OfType<SimServer>().Take(fault.Twist < 0.5 ? 1 : 2))
                    server.Clock.Offset = TimeSpan.FromSeconds((fault.Twist - 0.5) * 4);
                break;
            case "foreign cordon":
                node.CordonedBy ??= Somebody;
                In(fault.Length * 2, () => node.CordonedBy = node.CordonedBy == Somebody ? null : node.CordonedBy);
                break;
            case "restored":
                BackUp(fault);
                break;
            case "budget spent":
                cluster.BudgetSpentUntil = Now + fault.Length;
                break;
            default:
                if (!await People.ActAsync(fault, cluster, node, cancellation))
                    await BreakAsync(node, fault.Kind, fault, cancellation);
                break;
        }

        In(World.Interval + TimeSpan.FromSeconds(1), () => StirAsync(Stop));
    }

    async Task BreakAsync(SimNode node, string nodeFault, Fault fault, CancellationToken cancellation) =>
        await AddAsync(new(node, NodeFault.Find(nodeFault), Now) { Hopeless = fault.Twist < 0.1 }, fault.Length * 4, cancellation);

    async Task AddAsync(Problem problem, TimeSpan length, CancellationToken cancellation)
    {
        if (problem.Node.Problems.Exists(p => p.NodeFault == problem.NodeFault))
            return;
        problem.Node.Problems.Add(problem);
        if (problem.Flaps > TimeSpan.Zero)
            await FlapAsync(problem, cancellation);
        // In the end somebody mends it.
        In(length, () => Heal(problem));
    }

    async Task FlapAsync(Problem problem, CancellationToken cancellation)
    {
        if (!problem.Node.Problems.Contains(problem))
            return;
        await StirAsync(cancellation);
        In(problem.Flaps, () => FlapAsync(problem, cancellation));
    }
}
