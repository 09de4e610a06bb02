namespace Whistle.Fixtures;

/// <summary>What is the matter with a pod.</summary>
enum PodTrouble
{
    None,
    CrashLoop,
    ImagePull,
    Pending,
    Gated,
    NotReady,
    Throttled,
}

/// <param name="Namespace">Where it is.</param>
/// <param name="Name">Of the pod.</param>
/// <param name="App">The container's and image's name.</param>
/// <param name="Node">Where it runs or will.</param>
/// <param name="OwnerKind">Empty for a pod that is nobody's.</param>
/// <param name="OwnerName">Likewise.</param>
/// <param name="Claim">The PersistentVolumeClaim that it mounts, or null.</param>
/// <param name="Trouble">What is the matter with it.</param>
sealed record Pod(
    string Namespace, string Name, string App, int Node, string OwnerKind, string OwnerName, string? Claim = null,
    PodTrouble Trouble = PodTrouble.None);

/// <summary>A Deployment or StatefulSet with what the API says of its pods.</summary>
sealed record Workload(string Namespace, string Name, int Replicas);

/// <summary>
/// The pods of a cluster and what owns them: two daemon sets, deployments of ten replicas, stateful sets of five, and a few odd pods, one
/// for each kind of owner and of trouble.
/// </summary>
sealed class Workloads
{
    public const string Exporter = "node-exporter";

    /// <summary>The claim that is nearly full.</summary>
    public const string FullClaim = "data-archive-0";

    const int DeploymentReplicas = 10;
    const int StatefulSetReplicas = 5;
    const int Teams = 8;

    public Workloads(int nodes, int podsPerNode)
    {
        PodsPerNode = podsPerNode;
        for (var node = 0; node < nodes; node++)
        {
            Pods.Add(new Pod("monitoring", ExporterPod(node), Exporter, node, "DaemonSet", Exporter));
            Pods.Add(new Pod("kube-system", $"kube-proxy-{node:x5}", "kube-proxy", node, "DaemonSet", "kube-proxy"));
            for (var i = 2; i < podsPerNode; i++)
                Pods.Add(i % 5 == 0 ? OfStatefulSet(node) : OfDeployment(node));
        }

        Pods.AddRange(OddPods());
    }

    public int PodsPerNode { get; }

    public List<Pod> Pods { get; } = [];

    public List<Workload> Deployments { get; } = [];

    public List<Workload> StatefulSets { get; } = [];

    public static string ExporterPod(int node) => $"{Exporter}-{node:x5}";

    public static string ReplicaSet(string deployment) => $"{deployment}-6d4b75cb6d";

    static string Team(int number) => $"team-{number % Teams}";

    Pod OfDeployment(int node)
    {
        if (Deployments is [] || Deployments[^1].Replicas == DeploymentReplicas)
            Deployments.Add(new Workload(Team(Deployments.Count), $"web-{Deployments.Count:000}", 0));
        var workload = Deployments[^1] = Deployments[^1] with { Replicas = Deployments[^1].Replicas + 1 };
        var set = ReplicaSet(workload.Name);
        return new Pod(workload.Namespace, $"{set}-{workload.Replicas:x5}", "web", node, "ReplicaSet", set);
    }

    Pod OfStatefulSet(int node)
    {
        if (StatefulSets is [] || StatefulSets[^1].Replicas == StatefulSetReplicas)
            StatefulSets.Add(new Workload(Team(StatefulSets.Count), $"store-{StatefulSets.Count:000}", 0));
        var workload = StatefulSets[^1] = StatefulSets[^1] with { Replicas = StatefulSets[^1].Replicas + 1 };
        var name = $"{workload.Name}-{workload.Replicas - 1}";
        return new Pod(workload.Namespace, name, "store", node, "StatefulSet", workload.Name, $"data-{name}");
    }

    static IEnumerable<Pod> OddPods() =>
    [
        new("kube-system", "kube-apiserver-node-000", "kube-apiserver", 0, "Node", KubernetesFixture.NodeName(0)),
        new("shop", "archive-0", "archive", 0, "StatefulSet", "archive", FullClaim),
        new("shop", "debug", "debug", 0, "", ""),
        new("shop", "preview-5f6d8-00001", "preview", 0, "ReplicaSet", "preview-5f6d8"),
        new("shop", "canary-7c9f4-00001", "canary", 0, "ReplicaSet", "canary-7c9f4"),
        new("shop", "cache-0", "cache", 0, "CacheCluster", "cache"),
        new("batch", "migrate-00001", "migrate", 0, "Job", "migrate"),
        new("batch", "backup-28-00001", "backup", 0, "Job", "backup-28"),
        new("shop", $"{ReplicaSet("stuck")}-00001", "stuck", 0, "ReplicaSet", ReplicaSet("stuck"), null, PodTrouble.CrashLoop),
        new("shop", $"{ReplicaSet("stuck")}-00002", "stuck", 0, "ReplicaSet", ReplicaSet("stuck"), null, PodTrouble.ImagePull),
        new("shop", $"{ReplicaSet("stuck")}-00003", "stuck", 0, "ReplicaSet", ReplicaSet("stuck"), null, PodTrouble.NotReady),
        new("shop", "large-0", "large", 0, "StatefulSet", "large", null, PodTrouble.Pending),
        new("batch", "gated", "gated", 0, "", "", null, PodTrouble.Gated),
        new("shop", "encoder", "encoder", 0, "", "", null, PodTrouble.Throttled),
    ];
}
