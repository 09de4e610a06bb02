using Microsoft.Playwright;

using Whistle.Inventory;
using Whistle.Remediation.Runbooks;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>Fleets to look at.</summary>
static class Scenes
{
    public static readonly IReadOnlyList<(ColorScheme Theme, int Width)> Looks =
        [(ColorScheme.Light, 1440), (ColorScheme.Dark, 1440), (ColorScheme.Light, 390), (ColorScheme.Dark, 390)];

    public static readonly string LongTenant =
        "a-tenant-with-an-id-that-was-generated-by-a-machine-and-never-read-by-a-person.7f3a9c1e5b2d4a6f8c0e9b7d5a3c1f2e.example";

    /// <summary>One of everything: repaired, waiting for a yes, only watched, given up, and long names.</summary>
    public static async Task<Scene> BusyAsync(CancellationToken cancellation)
    {
        var scene = await Scene.StartAsync(
            cancellation,
            new Disk(new("acme", "production", "web-3"), "/var/lib/containers", 0.765) { GainAnHour = 0.035, Cleaned = 0.41 },
            new Disk(new("acme", "production", "web-1"), "/var/lib/containers", 0.52),
            new Disk(new("acme", "production", "web-2"), "/var/lib/containers", 0.61) { GainAnHour = 0.004 },
            new Disk(new("acme", "production", "db-1"), "/var/lib/postgresql", 0.755) { GainAnHour = 0.02 },
            new Disk(new("acme", "staging", "build-1"), "/data", 0.77) { GainAnHour = 0.04, Cleaned = 0.3 },
            new Disk(new("globex", "edge-warehouse-14", "edge-7"), "/data", 0.8) { GainAnHour = 0.015 },
            new Disk(
                new(
                    "globex", "a-cluster-with-a-name-that-was-generated-by-a-machine-and-never-read-by-a-person-7f3a9c",
                    "node-pool-default-4f7b6c9d8e-xk2p9.europe-west3-a.internal.example.com"),
                "/var/lib/kubelet/pods/7d3c1b9e-6f0a-4d5b-9a1c-2e8f7b6a5c4d/volumes/kubernetes.io~csi"
                    + "/pvc-0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e/mount",
                0.79)
            { GainAnHour = 0.01 });
        await scene.SetModeAsync("production", RunbookMode.Automatic);
        await scene.SetModeAsync("staging", RunbookMode.Approve);
        await scene.UntilAsync(
            async () => (await scene.App.Alerting.Tickets.ListAsync(cancellation: TestContext.Current.CancellationToken)).Count > 0,
            cancellation);
        await scene.StepsAsync(2, cancellation);
        return scene;
    }

    /// <summary>Tenants: one with all there is to write down, one that is archived, one with long names, and one with nothing.</summary>
    public static async Task<Scene> TenantsAsync(CancellationToken cancellation)
    {
        var scene = await Scene.StartAsync(
            cancellation,
            new Disk(new("acme", "production", "web-1"), "/data", 0.5), new Disk(new("acme", "production", "web-2"), "/data", 0.6),
            new Disk(new("acme", "staging", "build-1"), "/data", 0.4), new Disk(new("initech", "main", "n1"), "/data", 0.4),
            new Disk(
                new(LongTenant, "a-cluster-with-a-name-that-was-generated-by-a-machine-and-never-read-by-a-person-7f3a9c",
                    "node-pool-default-4f7b6c9d8e-xk2p9.europe-west3-a.internal.example.com"), "/data", 0.5));
        var register = scene.App.Credentials.Register;
        var labels = new Dictionary<string, string> { ["provider"] = "bare-metal", ["tier"] = "gold", ["zone"] = "eu-1" };
        await register.ChangeTenantAsync(
            "acme",
            new("ACME Corporation", ["ops@acme.example", "+49 30 1234567 (on call)", "ann@acme.example", "bob@acme.example"],
                "Contract until 2027.\nCall before anything that restarts production on weekdays from 8 to 18.", labels), cancellation);
        await register.SetLimitsAsync("acme", new(Series: 50_000, SamplesPerSecond: 20_000), cancellation);
        await register.ChangeClusterAsync(
            new("acme", "production"), new("Production", ["web-team@acme.example", "+49 30 7654321"], "Behind the old firewall.", labels),
            cancellation);
        await register.AddClusterAsync(new("acme", "retired"), new("Retired"), "ann", cancellation);
        await register.ArchiveClusterAsync(new("acme", "retired"), true, "ann", cancellation);
        foreach (var i in Enumerable.Range(1, 53))
        {
            var old = new NodeId("acme", "production", $"old-{i}");
            await scene.App.Credentials.EnrollAsync(old.ClusterId, old.Node, cancellation);
            await register.ArchiveNodeAsync(old, "ann", cancellation);
        }

        await register.ArchiveTenantAsync("initech", true, "ann", cancellation);
        await register.AddTenantAsync("umbrella", new(), "ann", cancellation);
        var word = new string('m', 180);
        await register.ChangeTenantAsync(
            LongTenant, new(word, [word, word, word], word, new Dictionary<string, string> { [new string('l', 60)] = word }), cancellation);
        await register.ChangeClusterAsync(
            (await register.ClustersAsync(cancellation)).Single(c => c.Id.Tenant == LongTenant).Id,
            new(word, [word], word, new Dictionary<string, string> { [new string('l', 60)] = word }), cancellation);
        return scene;
    }

    public static async Task<Scene> ManyAsync(int count, CancellationToken cancellation)
    {
        var scene = await Scene.StartAsync(
            cancellation,
            [.. Enumerable.Range(0, 40).Select(i => new Disk(new("acme", $"c{i % 7}", $"node-{i:000}"), "/data", 0.2 + (i % 9 * 0.05)))]);
        await scene.AddAsync(Enumerable.Range(0, count).Select(i => Scene.Incident(
            i, scene.Now.AddMinutes(-i), $"/data on node-{i:0000} runs out of space within 24 hours",
            Labels.Of(("node", $"node-{i:0000}"), ("mountpoint", "/data")), i % 50 == 0 ? "critical" : "warning", $"c{i % 7}")));
        return scene;
    }

    public static async Task<IReadOnlyList<(string Name, string Address)>> PagesAsync(Scene scene)
    {
        var incidents = await scene.Incidents.SinceAsync(scene.Now.AddDays(-1), TestContext.Current.CancellationToken);
        string Of(string node) => $"/incidents/{incidents.First(i => i.Subject["node"] == node).Id}";
        return
        [
            ("fleet", "/"), ("cluster", "/clusters/acme/production"), ("cluster-observe", "/clusters/globex/edge-warehouse-14"),
            ("node", "/nodes/acme/production/web-3?mount=%2Fvar%2Flib%2Fcontainers"),
            ("node-filling", "/nodes/acme/staging/build-1?range=24h"), ("incidents", "/incidents"),
            ("incidents-all", "/incidents?state=all"), ("incident-approve", Of("build-1")), ("incident-repaired", Of("web-3")),
            ("incident-observe", Of("edge-7")), ("incident-gave-up", Of("db-1")),
            ("incident-long", $"/incidents/{incidents.First(i => i.Cluster.StartsWith("a-cluster", StringComparison.Ordinal)).Id}"),
            ("tickets", "/tickets"), ("audit", "/audit"),
            (
                "ticket",
                $"/tickets/{(await scene.App.Alerting.Tickets.ListAsync(cancellation: TestContext.Current.CancellationToken))[0].Id}"),
        ];
    }
}
