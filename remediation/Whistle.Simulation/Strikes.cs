namespace Whistle.Simulation;

/// <summary>What each kind of fault does.</summary>
public sealed partial class Simulator
{
    void Strike(Fault fault)
    {
        Count(_report.Faults, fault.Kind);
        Say($"fault {fault.Number}: {fault.Kind} at {fault.Cluster}/{fault.Node} for {fault.Length.TotalMinutes:0} min");
        var cluster = World.Clusters.ElementAt(fault.Cluster);
        var node = cluster.Nodes[fault.Node];
        switch (fault.Kind)
        {
            case "storm":
                foreach (var other in cluster.Nodes.Where(n => n.Zone == node.Zone))
                    Break(other, fault.Twist < 0.5 ? "kubelet" : "sick", fault with { Twist = 0.5 });
                break;
            case "burst":
                foreach (var other in cluster.Nodes.Skip(fault.Node).Take(6))
                    Break(other, fault.Twist < 0.4 ? "disk" : fault.Twist < 0.7 ? "runtime" : "sick", fault with { Twist = 0.5 });
                break;
            case "flap":
                Add(new(node, Ailment.Find(fault.Twist < 0.5 ? "runtime" : "conntrack"), Now) { Hopeless = true, Flaps = TimeSpan.FromMinutes(2 + (10 * fault.Twist)) }, fault.Length * 3);
                break;
            case "etcd":
                Break(cluster.Nodes[fault.Node % cluster.Voters.Count()], "etcd", fault);
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
                In(fault.Length / 2, Stir);
                break;
            case "detector stalls":
                // Alone, or because nothing comes in.
                (World.StalledSince, World.LateSince) = (Now, fault.Twist < 0.5 ? Now : null);
                In(fault.Length / 4, () =>
                {
                    (World.StalledSince, World.LateSince) = (null, null);
                    Stir();
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
                if (!People.Act(fault, cluster, node))
                    Break(node, fault.Kind, fault);
                break;
        }

        In(World.Interval + TimeSpan.FromSeconds(1), Stir);
    }

    void Break(SimNode node, string ailment, Fault fault) =>
        Add(new(node, Ailment.Find(ailment), Now) { Hopeless = fault.Twist < 0.1 }, fault.Length * 4);

    void Add(Problem problem, TimeSpan length)
    {
        if (problem.Node.Problems.Exists(p => p.Ailment == problem.Ailment))
            return;
        problem.Node.Problems.Add(problem);
        if (problem.Flaps > TimeSpan.Zero)
            Flap(problem);
        // In the end somebody mends it.
        In(length, () => Heal(problem));
    }

    void Flap(Problem problem)
    {
        if (!problem.Node.Problems.Contains(problem))
            return;
        Stir();
        In(problem.Flaps, () => Flap(problem));
    }
}
