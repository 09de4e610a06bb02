namespace Whistle.Fixtures;

/// <summary>
/// What kube-state-metrics says of the cluster's objects: those of <see cref="Workloads"/>, and one of each kind in each trouble.
/// </summary>
sealed class KubeStateSeries(KubernetesFixture cluster, List<FixtureSeries> series, uint seed)
{
    /// <summary>Pods that a node takes.</summary>
    public const int PodCapacity = 110;

    const string Shop = "shop";
    const string Stuck = "stuck";
    const double NodeCpus = 7.5;
    const double NodeMemory = 30.0 * (1 << 30);
    const double LongAgo = 1.7e9;

    static readonly string[] Phases = ["Failed", "Pending", "Running", "Succeeded", "Unknown"];

    static readonly string[] VolumePhases = ["Available", "Bound", "Failed", "Pending", "Released"];

    static readonly string[] Conditions = ["false", "true", "unknown"];

    readonly Target _target = new(series, seed, ("job", "kube-state-metrics"), ("instance", "10.244.0.9:8443"));

    public void Add(Workloads workloads)
    {
        Shards();
        for (var node = 0; node < cluster.NodeCount; node++)
            Node(node);
        for (var i = 0; i < workloads.Pods.Count; i++)
            Pod(workloads.Pods[i], $"00000000-0000-4000-8000-{i:x12}", workloads.PodsPerNode);
        Deployments(workloads);
        StatefulSets(workloads);
        DaemonSets();
        Jobs();
        Autoscalers(workloads);
        Budgets(workloads);
        Quotas();
        Volumes(workloads);
    }

    // Two shards that do not agree how many they are.
    void Shards()
    {
        for (var shard = 0; shard < 2; shard++)
        {
            var target = new Target(series, seed, ("job", "kube-state-metrics"), ("instance", $"10.244.0.{9 + shard}:8443"));
            target.Still("up", 1);
            target.Still("kube_state_metrics_total_shards", 2 + shard);
            target.Still("kube_state_metrics_shard_ordinal", shard, ("shard_ordinal", $"{shard}"));
            foreach (var resource in new[] { "*v1.Pod", "*v1.Node", "*v1.Secret" })
            {
                foreach (var call in new[] { "list", "watch" })
                {
                    target.Counts($"kube_state_metrics_{call}_total", 2, ("resource", resource), ("result", "success"));
                    target.Counts(
                        $"kube_state_metrics_{call}_total", resource == "*v1.Secret" ? 0.4 : 0, ("resource", resource),
                        ("result", "error"));
                }
            }
        }
    }

    void Node(int node)
    {
        var (sick, lost) = (node == cluster.SickNode, node == cluster.LostNode);
        var label = ("node", KubernetesFixture.NodeName(node));
        _target.Still(
            "kube_node_info", 1, label, ("internal_ip", KubernetesFixture.Address(node)), ("kubelet_version", ControlPlaneSeries.Version));
        if (node < 3)
            _target.Still("kube_node_role", 1, label, ("role", "control-plane"));
        foreach (var (resource, unit, value) in new[]
        {
            ("cpu", "core", NodeCpus), ("memory", "byte", NodeMemory), ("pods", "integer", PodCapacity),
        })
        {
            _target.Still("kube_node_status_allocatable", value, label, ("resource", resource), ("unit", unit));
            _target.Still("kube_node_status_capacity", value, label, ("resource", resource), ("unit", unit));
        }

        foreach (var condition in new[] { "DiskPressure", "MemoryPressure", "PIDPressure" })
            _target.States("kube_node_status_condition", "status", Conditions, sick ? "true" : "false", label, ("condition", condition));
        foreach (var status in Conditions)
        {
            var flaps = sick && !lost && status == "true";
            _target.Add(
                flaps ? Behaviour.Flapping : Behaviour.Constant, "kube_node_status_condition",
                status == (lost ? "unknown" : "true") ? 1 : 0, label, ("condition", "Ready"), ("status", status));
        }

        _target.Still("kube_node_spec_unschedulable", 0, label);
        if (lost)
            _target.Still("kube_node_spec_taint", 1, label, ("key", "node.kubernetes.io/unreachable"), ("effect", "NoSchedule"));
    }

    // The pods of a node together ask for all that it has, so the odd ones are too much.
    void Pod(Pod pod, string uid, int podsPerNode)
    {
        (string, string)[] labels = [("namespace", pod.Namespace), ("pod", pod.Name), ("uid", uid)];
        (string, string)[] container = [.. labels, ("container", pod.App)];
        var waits = pod.Trouble is PodTrouble.Pending or PodTrouble.Gated;
        var node = waits ? "" : KubernetesFixture.NodeName(pod.Node);
        _target.Still(
            "kube_pod_info", 1, [.. labels, ("node", node), ("created_by_kind", pod.OwnerKind), ("created_by_name", pod.OwnerName)]);
        _target.Still("kube_pod_owner", 1, [.. labels, ("owner_kind", pod.OwnerKind), ("owner_name", pod.OwnerName)]);
        _target.States(
            "kube_pod_status_phase", "phase", Phases, waits || pod.Trouble == PodTrouble.ImagePull ? "Pending" : "Running", labels);
        _target.States(
            "kube_pod_status_ready", "condition", Conditions, pod.Trouble is PodTrouble.None or PodTrouble.Throttled ? "true" : "false",
            labels);
        foreach (var (resource, unit, share) in new[]
        {
            ("cpu", "core", NodeCpus / podsPerNode), ("memory", "byte", NodeMemory / podsPerNode),
        })
        {
            (string, string)[] asked = [.. container, ("node", node), ("resource", resource), ("unit", unit)];
            _target.Still("kube_pod_container_resource_requests", share, asked);
            _target.Still("kube_pod_container_resource_limits", 2 * share, asked);
        }

        if (pod.Trouble == PodTrouble.CrashLoop)
            _target.Still("kube_pod_container_status_waiting_reason", 1, [.. container, ("reason", "CrashLoopBackOff")]);
        if (pod.Trouble == PodTrouble.ImagePull)
            _target.Still("kube_pod_container_status_waiting_reason", 1, [.. container, ("reason", "ImagePullBackOff")]);
        if (pod.Trouble == PodTrouble.Gated)
            _target.Still("kube_pod_status_reason", 1, [.. labels, ("reason", "SchedulingGated")]);
    }

    void Deployments(Workloads workloads)
    {
        foreach (var workload in workloads.Deployments.Append(new Workload(Shop, Stuck, 3)))
        {
            var stuck = workload.Name == Stuck;
            (string, string)[] labels = [("namespace", workload.Namespace), ("deployment", workload.Name)];
            _target.Still("kube_deployment_metadata_generation", stuck ? 4 : 3, labels);
            _target.Still("kube_deployment_status_observed_generation", 3, labels);
            _target.Still("kube_deployment_spec_replicas", workload.Replicas, labels);
            _target.Still("kube_deployment_status_replicas_available", stuck ? 0 : workload.Replicas, labels);
            _target.Still("kube_deployment_status_replicas_updated", workload.Replicas, labels);
            foreach (var condition in new[] { "Available", "Progressing" })
                _target.States(
                    "kube_deployment_status_condition", "status", Conditions, stuck ? "false" : "true",
                    [.. labels, ("condition", condition)]);
            ReplicaSet(workload.Namespace, Workloads.ReplicaSet(workload.Name), "Deployment", workload.Name);
        }

        ReplicaSet(Shop, "preview-5f6d8", "", "");
        ReplicaSet(Shop, "canary-7c9f4", "Rollout", "canary");
    }

    void ReplicaSet(string ns, string name, string ownerKind, string ownerName) => _target.Still(
        "kube_replicaset_owner", 1, ("namespace", ns), ("replicaset", name), ("owner_kind", ownerKind), ("owner_name", ownerName));

    void StatefulSets(Workloads workloads)
    {
        foreach (var workload in workloads.StatefulSets.Append(new Workload(Shop, "archive", 1)).Append(new Workload(Shop, "large", 2)))
        {
            var stuck = workload.Name == "large";
            (string, string)[] labels = [("namespace", workload.Namespace), ("statefulset", workload.Name)];
            _target.Still("kube_statefulset_metadata_generation", stuck ? 2 : 1, labels);
            _target.Still("kube_statefulset_status_observed_generation", 1, labels);
            _target.Still("kube_statefulset_replicas", workload.Replicas, labels);
            _target.Still("kube_statefulset_status_replicas_ready", stuck ? 1 : workload.Replicas, labels);
            _target.Still("kube_statefulset_status_replicas_updated", stuck ? 1 : workload.Replicas, labels);
            _target.Still("kube_statefulset_status_current_revision", 1, [.. labels, ("revision", $"{workload.Name}-1")]);
            _target.Still("kube_statefulset_status_update_revision", 1, [.. labels, ("revision", $"{workload.Name}-{(stuck ? 2 : 1)}")]);
        }
    }

    void DaemonSets()
    {
        foreach (var (ns, name) in new[] { ("monitoring", Workloads.Exporter), ("kube-system", "kube-proxy"), (Shop, Stuck) })
        {
            var missing = name == Stuck ? 1 : 0;
            (string, string)[] labels = [("namespace", ns), ("daemonset", name)];
            _target.Still("kube_daemonset_status_desired_number_scheduled", cluster.NodeCount, labels);
            foreach (var which in new[] { "current_number_scheduled", "updated_number_scheduled", "number_available" })
                _target.Still($"kube_daemonset_status_{which}", cluster.NodeCount - missing, labels);
            _target.Still("kube_daemonset_status_number_misscheduled", missing, labels);
        }
    }

    void Jobs()
    {
        foreach (var (name, owner, active, failed) in new[]
            { ("migrate", "", true, false), ("backup-28", "backup", false, false), ("backup-27", "backup", false, true) })
        {
            (string, string)[] labels = [("namespace", "batch"), ("job_name", name)];
            _target.Still("kube_job_owner", 1, [.. labels, ("owner_kind", owner.Length > 0 ? "CronJob" : ""), ("owner_name", owner)]);
            _target.Still("kube_job_status_start_time", LongAgo, labels);
            _target.Still("kube_job_status_active", active ? 1 : 0, labels);
            if (failed)
                _target.States("kube_job_failed", "condition", Conditions, "true", labels);
        }
    }

    void Autoscalers(Workloads workloads)
    {
        var healthy = workloads.Deployments.Where((_, i) => i % 4 == 0).Select(w => (w.Namespace, w.Name, Current: 4, Desired: 4));
        foreach (var (ns, name, current, desired) in healthy.Append((Shop, Stuck, 4, 6)).Append((Shop, "preview", 10, 10)))
        {
            (string, string)[] labels = [("namespace", ns), ("horizontalpodautoscaler", name)];
            _target.Still("kube_horizontalpodautoscaler_spec_min_replicas", 2, labels);
            _target.Still("kube_horizontalpodautoscaler_spec_max_replicas", 10, labels);
            _target.Still("kube_horizontalpodautoscaler_status_current_replicas", current, labels);
            _target.Still("kube_horizontalpodautoscaler_status_desired_replicas", desired, labels);
        }
    }

    void Budgets(Workloads workloads)
    {
        foreach (var workload in workloads.StatefulSets.Append(new Workload(Shop, Stuck, 3)))
        {
            (string, string)[] labels = [("namespace", workload.Namespace), ("poddisruptionbudget", workload.Name)];
            _target.Still("kube_poddisruptionbudget_status_desired_healthy", workload.Replicas - 1, labels);
            _target.Still("kube_poddisruptionbudget_status_current_healthy", workload.Name == Stuck ? 0 : workload.Replicas, labels);
        }
    }

    // Of processors and memory twice as much is promised as there is.
    void Quotas()
    {
        Quota("sandbox", "cpu", 2 * NodeCpus * cluster.NodeCount, 0.3);
        Quota("sandbox", "memory", 2 * NodeMemory * cluster.NodeCount, 0.3);
        Quota("sandbox", "pods", 100, 0.95);
        Quota("sandbox", "services", 10, 1);
        Quota(Shop, "configmaps", 20, 1.05);
        Quota(Shop, "secrets", 20, 0.5);
    }

    void Quota(string ns, string resource, double hard, double share)
    {
        (string, string)[] labels = [("namespace", ns), ("resourcequota", "default"), ("resource", resource)];
        _target.Still("kube_resourcequota", hard, [.. labels, ("type", "hard")]);
        _target.Still("kube_resourcequota", hard * share, [.. labels, ("type", "used")]);
    }

    void Volumes(Workloads workloads)
    {
        foreach (var pod in workloads.Pods.Where(p => p.Claim is not null))
        {
            (string, string)[] labels = [("namespace", pod.Namespace), ("persistentvolumeclaim", pod.Claim!)];
            _target.Still("kube_persistentvolumeclaim_access_mode", 1, [.. labels, ("access_mode", "ReadWriteOnce")]);
            _target.Still("kube_persistentvolumeclaim_labels", 1, labels);
            _target.States(
                "kube_persistentvolume_status_phase", "phase", VolumePhases, "Bound",
                ("persistentvolume", $"pv-{pod.Namespace}-{pod.Claim}"));
        }

        _target.States("kube_persistentvolume_status_phase", "phase", VolumePhases, "Failed", ("persistentvolume", "pv-released"));
    }
}
