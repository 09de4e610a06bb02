namespace Whistle.Fixtures;

/// <summary>What the kubelets say of themselves, of their volumes and, through cAdvisor, of their containers.</summary>
sealed class KubeletSeries(KubernetesFixture cluster, List<FixtureSeries> series, uint seed)
{
    const double Mebibyte = 1 << 20;
    const double VolumeBytes = 10_240 * Mebibyte;
    const double VolumeInodes = 655_360;

    static readonly double[] Seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    // A kubelet has no bucket above 10 s; with these the alert for slow starts, whose limit is a minute, has something to find.
    static readonly double[] WorkerSeconds = [.. Seconds, 30, 60, 120];

    static readonly string[] EvictionSignals = ["memory.available", "nodefs.available"];

    public void Add(Workloads workloads)
    {
        var pods = workloads.Pods.ToLookup(p => p.Node);
        for (var node = 0; node < cluster.NodeCount; node++)
        {
            AddTargets(node);
            if (node == cluster.LostNode)
                continue;
            Kubelet(Of(node, "/metrics"), node, workloads.PodsPerNode);
            foreach (var pod in pods[node].Where(p => p.Trouble is not (PodTrouble.Pending or PodTrouble.Gated)))
            {
                Containers(Of(node, "/metrics/cadvisor"), pod);
                if (pod.Claim is not null)
                    Volume(Of(node, "/metrics"), pod);
            }
        }
    }

    void AddTargets(int node)
    {
        foreach (var path in new[] { "/metrics", "/metrics/cadvisor", "/metrics/probes" })
            Of(node, path).Still("up", node == cluster.LostNode ? 0 : 1);
        new Target(
            series, seed, ("job", "kube-proxy"), ("namespace", "kube-system"), ("pod", $"kube-proxy-{node:x5}"),
            ("instance", $"{KubernetesFixture.Address(node)}:10249")).Still("up", 1);
    }

    Target Of(int node, string path) => new(
        series, seed, ("job", "kubelet"), ("metrics_path", path), ("namespace", "kube-system"), ("service", "kubelet"),
        ("endpoint", "https-metrics"), ("node", KubernetesFixture.NodeName(node)),
        ("instance", $"{KubernetesFixture.Address(node)}:10250"));

    void Kubelet(Target target, int node, int pods)
    {
        var sick = node == cluster.SickNode;
        target.Still("kubelet_node_name", 1);
        target.Still("kubelet_running_pods", sick ? KubeStateSeries.PodCapacity - 2 : pods);
        target.Histogram("kubelet_pleg_relist_duration_seconds", 15, sick ? 20 : 0.02, Seconds);
        foreach (var operation in new[] { "create", "sync", "update" })
            target.Histogram("kubelet_pod_worker_duration_seconds", 8, sick ? 40 : 0.1, WorkerSeconds, ("operation_type", operation));
        foreach (var kind in new[] { "client", "server" })
            target.Still($"kubelet_certificate_manager_{kind}_ttl_seconds", sick ? 40_000 : 2e7);
        target.Counts("kubelet_certificate_manager_client_expiration_renew_errors", sick ? 0.5 : 0);
        target.Counts("kubelet_server_expiration_renew_errors", sick ? 0.5 : 0);
        foreach (var signal in EvictionSignals)
            target.Counts("kubelet_evictions", sick ? 0.2 : 0, ("eviction_signal", signal));
        foreach (var code in new[] { "200", "201", "404" })
            target.Counts("rest_client_requests_total", 12, ("code", code), ("host", "10.96.0.1:443"), ("method", "GET"));
        target.Still(
            "kubernetes_build_info", 1, ("git_version", sick ? "v1.33.5" : ControlPlaneSeries.Version), ("platform", "linux/amd64"));
    }

    static void Containers(Target target, Pod pod)
    {
        var slice = $"/kubepods.slice/{pod.Namespace}-{pod.Name}.slice";
        (string, string)[] labels =
        [
            ("namespace", pod.Namespace), ("pod", pod.Name), ("container", pod.App), ("image", $"registry.example.net/{pod.App}:1"),
            ("name", $"{pod.Name}-{pod.App}"), ("id", $"{slice}/cri-containerd.scope"),
        ];
        target.Add(
            pod.Trouble == PodTrouble.CrashLoop ? Behaviour.RestartingCounter : Behaviour.SecondsCounter,
            "container_cpu_usage_seconds_total", 2, labels);
        target.Counts("container_cpu_cfs_periods_total", 150, labels);
        target.Counts("container_cpu_cfs_throttled_periods_total", pod.Trouble == PodTrouble.Throttled ? 80 : 3, labels);
        target.Pages("container_memory_working_set_bytes", 300 * Mebibyte, labels);
        target.Pages("container_memory_rss", 200 * Mebibyte, labels);
        target.Pages("container_memory_cache", 90 * Mebibyte, labels);
        target.Still("container_memory_swap", 0, labels);
        // The pod's own control group has neither container nor image.
        (string, string)[] whole = [("namespace", pod.Namespace), ("pod", pod.Name), ("id", slice)];
        target.Seconds("container_cpu_usage_seconds_total", 2.1, whole);
        target.Pages("container_memory_working_set_bytes", 301 * Mebibyte, whole);
    }

    static void Volume(Target target, Pod pod)
    {
        var full = pod.Claim == Workloads.FullClaim;
        var behaviour = full ? Behaviour.Draining : Behaviour.PagesGauge;
        (string, string)[] labels = [("namespace", pod.Namespace), ("persistentvolumeclaim", pod.Claim!)];
        target.Still("kubelet_volume_stats_capacity_bytes", VolumeBytes, labels);
        target.Add(behaviour, "kubelet_volume_stats_available_bytes", VolumeBytes * (full ? 0.025 : 0.6), labels);
        target.Pages("kubelet_volume_stats_used_bytes", VolumeBytes * (full ? 0.98 : 0.4), labels);
        target.Still("kubelet_volume_stats_inodes", VolumeInodes, labels);
        target.Add(
            full ? Behaviour.Draining : Behaviour.Constant, "kubelet_volume_stats_inodes_free", VolumeInodes * (full ? 0.025 : 0.9),
            labels);
        target.Still("kubelet_volume_stats_inodes_used", VolumeInodes * (full ? 0.98 : 0.1), labels);
    }
}
