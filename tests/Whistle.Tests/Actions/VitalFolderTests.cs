using Whistle.Actions.Files;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class VitalFolderTests : IDisposable
{
    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    public static TheoryData<string> UnlessNamed =>
    [
        "/root/.ssh", "/root/.kube", "/root/.gnupg/private-keys-v1.d", "/root/.config/gcloud", "/home/bob", "/home/bob/.ssh",
        "/home/bob/.kube/cache", "/home/bob/.aws", "/home/bob/.docker", "/srv/users/bob/.ssh", "/var/lib/jenkins/.ssh",
        "/var/lib/postgresql", "/var/lib/postgresql/15/main", "/var/lib/mysql", "/var/lib/mysql-files", "/var/lib/mariadb",
        "/var/lib/rabbitmq/mnesia", "/var/lib/redis", "/var/lib/mongodb", "/var/lib/cassandra", "/var/lib/elasticsearch",
        "/var/lib/clickhouse", "/var/lib/kafka", "/var/lib/zookeeper", "/var/lib/consul", "/var/lib/vault", "/var/lib/ceph",
        "/var/lib/longhorn", "/var/lib/ldap", "/var/lib/samba/private", "/var/lib/libvirt/images", "/var/lib/systemd",
        "/var/lib/systemd/coredump", "/var/lib/containers", "/var/lib/containers/storage", "/var/lib/cni", "/var/lib/calico",
        "/var/lib/cloud", "/var/lib/NetworkManager", "/var/lib/apt", "/var/lib/dnf", "/var/lib/dhcp", "/var/lib/chrony", "/var/lib/sss",
        "/var/lib/buildkit", "/var/lib/k0s", "/var/lib/lxd", "/var/lib/snapd", "/var/lib/prometheus", "/var/lib/grafana",
        "/var/lib/anything/else", "/run/containerd", "/run/crio", "/run/systemd", "/run/udev", "/run/flannel", "/run/secrets",
        "/run/log/journal", "/var/run/docker", "/opt/cni/bin", "/opt/containerd", "/var/snap/microk8s", "/var/spool/cron", "/var/mail/bob",
        "/var/spool/mail", "/var/backups", "/var/www/html", "/var/db/etcd", "/data/postgresql", "/data/mysql/tmp", "/srv/etcd/member",
        "/mnt/disk/pgdata", "/opt/rabbitmq", "/VAR/LIB/POSTGRESQL", "/data/PostgreSQL",
    ];

    public static TheoryData<string> Always =>
    [
        "/", "/etc", "/etc/ssh", "/etc/kubernetes", "/etc/kubernetes/pki", "/etc/whistle", "/etc/cni/net.d", "/ETC/ssh", "/boot",
        "/boot/efi", "/efi", "/usr", "/usr/local/lib", "/lib", "/lib/modules", "/lib64", "/bin", "/sbin", "/dev/shm", "/sys/fs",
        "/proc/1/root/var/lib/mysql", "/proc/self/cwd", "/proc/1/root", "/nix/store", "/snap/core", "/var/lib/etcd", "/var/lib/etcd/member",
        "/var/lib/kubelet", "/var/lib/kubelet/pods", "/var/lib/containerd", "/var/lib/docker", "/var/lib/docker/overlay2", "/var/lib/dpkg",
        "/var/lib/rpm", "/var/lib/rancher/k3s", "/var/lib/whistle", "/var/lib/whistle-agent", "/var", "/home", "/root", "/opt", "/srv",
        "/mnt", "/media", "/run", "/var/lib", "//etc", "/etc/", "//var//lib", "/var/log/../lib/mysql", "/var/./lib", "/var/lib/mysql/..",
        "var/lib/mysql", "",
    ];

    [Theory]
    [MemberData(nameof(UnlessNamed))]
    public void A_vital_folder_is_a_root_only_where_the_policy_names_it_twice(string root)
    {
        foreach (var key in new[] { "cleanPaths", "pruneBackups" })
        {
            _node.WritePolicy(Policy(key, root));
            Assert.Null(NodePolicy.Read(_node.PolicyFile, [], out var refusal));
            Assert.Contains(root, refusal, StringComparison.Ordinal);
            // What holds it is not opened by naming what lies in it, nor the other way round.
            Assert.NotNull(VitalFolders.Refusal(root, [], [Path.GetDirectoryName(root)!, $"{root}/below"]));
            _node.WritePolicy(Policy(key, root, root));
            Assert.NotNull(NodePolicy.Read(_node.PolicyFile, [], out refusal));
            Assert.Null(refusal);
        }
    }

    [Theory]
    [MemberData(nameof(Always))]
    public void What_the_node_lives_on_is_no_root_however_often_it_is_named(string root)
    {
        foreach (var key in new[] { "cleanPaths", "pruneBackups" })
        {
            _node.WritePolicy(Policy(key, root, root));
            Assert.Null(NodePolicy.Read(_node.PolicyFile, [], out _));
        }
    }

    [Theory]
    [InlineData("/var/log")]
    [InlineData("/var/log/postgresql")]
    [InlineData("/var/cache/apt/archives")]
    [InlineData("/var/tmp/builds")]
    [InlineData("/tmp")]
    [InlineData("/data/spool")]
    [InlineData("/srv/www/uploads")]
    [InlineData("/opt/app/logs")]
    [InlineData("/home/bob/builds")]
    [InlineData("/mnt/disk/cache")]
    public void Other_folders_are_named_once(string root) => Assert.Null(VitalFolders.Refusal(root, [], []));

    [Fact]
    public void The_agents_own_files_are_never_cleaned_nor_what_holds_them()
    {
        Assert.NotNull(VitalFolders.Refusal("/data/agent", ["/data/agent/buffer"], ["/data/agent"]));
        Assert.NotNull(VitalFolders.Refusal("/data/agent/buffer/commands", ["/data/agent/buffer"], ["/data/agent/buffer/commands"]));
        Assert.NotNull(VitalFolders.Refusal("/data/policies", ["/data/policies/node.json"], []));
        Assert.Null(VitalFolders.Refusal("/data/policies/old", ["/data/policies/node.json"], []));
    }

    [Theory]
    [InlineData("""{ "pruneImages": false, "pruneImages": true }""")]
    [InlineData("""{ "pruneImages": false, "PruneImages": true }""")]
    [InlineData("""{ "cleanPaths": [], "CLEANPATHS": [] }""")]
    [InlineData("""{ "cleanPaths": [ { "root": "/data/a", "root": "/data/b", "patterns": ["*"], "minimumAge": "7d" } ] }""")]
    [InlineData("""{ "cleanPaths": [ { "root": "/data/a", "patterns": ["*"], "minimumAge": "7d", "MinimumAge": "0s" } ] }""")]
    [InlineData("""{ "vacuumJournal": { "keepBytes": 1000, "keepbytes": 1 } }""")]
    [InlineData("""{ "diagnostics": { "journal": false, "journal": true } }""")]
    [InlineData("""{ "unknown": 1 }""")]
    [InlineData("""{ "diagnostics": { "unknown": 1 } }""")]
    [InlineData("""{ "vitalCleanRoots": ["/var/lib/x"] }""")]
    [InlineData("""{ "vitalCleanRoots": [null] }""")]
    public void A_key_that_stands_twice_or_is_not_known_lets_nothing_be_done(string policy)
    {
        _node.WritePolicy(policy);
        Assert.Null(NodePolicy.Read(_node.PolicyFile, [], out var refusal));
        Assert.Contains("policy", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void A_policy_is_bounded_in_size_and_depth()
    {
        foreach (var policy in new[]
        {
            $"{{ \"unknown\": {new string('[', 100_000)}",
            $"{{ \"crictl\": \"crictl\" }}{new string(' ', 256 << 10)}",
        })
        {
            _node.WritePolicy(policy);
            Assert.Null(NodePolicy.Read(_node.PolicyFile, [], out var refusal));
            Assert.NotNull(refusal);
        }
    }

    [Fact]
    public async Task A_parameter_that_stands_twice_is_refused()
    {
        _node.Write("old.log");
        var report = await _node.RunAsync("disk.clean-paths", $$"""{ "roots": ["{{_node.Root}}"], "Roots": [] }""");
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
    }

    static string Policy(string key, string root, params string[] vital)
    {
        var rule = key == "cleanPaths"
            ? $$"""{ "root": "{{root}}", "patterns": ["*.log"], "minimumAge": "7d" }"""
            : $$"""{ "root": "{{root}}", "pattern": "kubeadm-*", "keep": 1 }""";
        var named = vital.Length == 0 ? "" : $$""", "vitalCleanRoots": [{{string.Join(", ", vital.Select(v => $"\"{v}\""))}}]""";
        return $$"""{ "{{key}}": [{{rule}}]{{named}} }""";
    }
}
