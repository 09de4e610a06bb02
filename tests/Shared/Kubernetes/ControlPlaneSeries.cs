namespace Whistle.Fixtures;

/// <summary>
/// API server, scheduler and controller manager with three targets each, of which one is down, and the cluster's name service. The API
/// server fails for one of its resources.
/// </summary>
sealed class ControlPlaneSeries(List<FixtureSeries> series, uint seed)
{
    public const string Version = "v1.34.1";

    const int Targets = 3;
    const string FailingResource = "configmaps";

    static readonly string[] Resources = ["configmaps", "deployments", "endpointslices", "events", "leases", "nodes", "pods", "secrets"];

    static readonly (string Verb, string Scope)[] Calls =
    [
        ("GET", "resource"), ("LIST", "namespace"), ("LIST", "cluster"), ("POST", "resource"), ("PUT", "resource"), ("PATCH", "resource"),
        ("DELETE", "resource"),
    ];

    static readonly double[] RequestSeconds = [0.05, 0.1, 1, 5, 10, 30, 60];

    static readonly double[] ExpirationSeconds =
        [0, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 345_600, 604_800, 2_592_000, 7_776_000, 15_552_000, 31_104_000];

    static readonly double[] SchedulingSeconds = [0.001, 0.004, 0.016, 0.064, 0.256, 1.024, 4.096, 16.384];

    public void Add()
    {
        for (var i = 0; i < Targets; i++)
        {
            var isUp = i < Targets - 1;
            Component("apiserver", "default", 6443, i, isUp, ApiServer);
            Component("kube-scheduler", "kube-system", 10_259, i, isUp, Scheduler);
            Component("kube-controller-manager", "kube-system", 10_257, i, isUp, ControllerManager);
        }

        foreach (var pod in new[] { "coredns-1", "coredns-2" })
        {
            var target = new Target(
                series, seed, ("job", "coredns"), ("namespace", "kube-system"), ("pod", pod), ("instance", $"{pod}:9153"));
            target.Still("up", 1);
            target.Still("coredns_build_info", 1, ("version", "1.12.1"));
        }
    }

    void Component(string job, string ns, int port, int index, bool isUp, Action<Target> add)
    {
        var instance = $"{KubernetesFixture.Address(index)}:{port}";
        var target = new Target(
            series, seed, ("job", job), ("namespace", ns), ("service", job), ("endpoint", "https"), ("instance", instance));
        target.Still("up", isUp ? 1 : 0);
        if (!isUp)
            return;
        target.Still("kubernetes_build_info", 1, ("git_version", Version), ("platform", "linux/amd64"));
        target.Counts("rest_client_requests_total", 20, ("code", "200"), ("host", instance), ("method", "GET"));
        target.Counts(
            "rest_client_requests_total", job == "apiserver" && index == 0 ? 1 : 0, ("code", "500"), ("host", instance), ("method", "GET"));
        add(target);
    }

    static void ApiServer(Target target)
    {
        foreach (var resource in Resources)
        {
            foreach (var (verb, scope) in Calls)
                Requests(target, resource, verb, scope);
            target.Counts(
                "apiserver_request_terminations_total", resource == FailingResource ? 2_000 : 0, ("code", "503"), ("resource", resource),
                ("verb", "WATCH"));
        }

        target.Histogram("apiserver_client_certificate_expiration_seconds", 400, 50 * 86_400, ExpirationSeconds);
        foreach (var (name, isDown) in new[] { ("v1.apps", false), ("v1beta1.metrics.k8s.io", true) })
        {
            target.Still("aggregator_unavailable_apiservice", isDown ? 1 : 0, ("name", name));
            target.Counts("aggregator_unavailable_apiservice_total", isDown ? 1 : 0, ("name", name), ("reason", "FailedDiscoveryCheck"));
        }
    }

    static void Requests(Target target, string resource, string verb, string scope)
    {
        const double Growth = 60;
        (string, string)[] labels =
            [("resource", resource), ("verb", verb), ("scope", scope), ("version", "v1"), ("component", "apiserver")];
        target.Histogram("apiserver_request_sli_duration_seconds", Growth, verb == "LIST" ? 0.3 : 0.03, RequestSeconds, labels);
        var failed = resource == FailingResource ? 0.9 : 0;
        target.Counts("apiserver_request_total", Growth * (1 - failed), [.. labels, ("code", verb == "POST" ? "201" : "200")]);
        target.Counts("apiserver_request_total", Growth * failed, [.. labels, ("code", "500")]);
        target.Counts("apiserver_request_total", 1, [.. labels, ("code", "409")]);
        if (verb == "GET")
            target.Counts("apiserver_request_total", 4, [.. labels, ("code", "304")]);
    }

    static void Scheduler(Target target)
    {
        target.Histogram(
            "scheduler_scheduling_attempt_duration_seconds", 3, 0.02, SchedulingSeconds, ("profile", "default-scheduler"),
            ("result", "scheduled"));
        target.Histogram("scheduler_scheduling_algorithm_duration_seconds", 3, 0.004, SchedulingSeconds);
        target.Histogram("scheduler_pod_scheduling_sli_duration_seconds", 3, 0.1, SchedulingSeconds, ("attempts", "1"));
    }

    static void ControllerManager(Target target) => target.Counts("workqueue_adds_total", 30, ("name", "deployment"));
}
