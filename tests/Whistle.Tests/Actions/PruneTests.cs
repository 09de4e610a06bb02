using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>Images, logs and backups. crictl answers as that of cri-tools 1.30 does.</summary>
public sealed class PruneTests : IDisposable
{
    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Images_that_nobody_uses_go_and_what_is_gone_is_told()
    {
        WriteCrictl();
        var dry = await _node.RunAsync("images.prune", dryRun: true);
        Assert.Equal("Would delete 1 images of 30.0 MiB.", dry.Summary);
        Assert.DoesNotContain("rmi --prune", _node.Calls("crictl"));
        var report = await _node.RunAsync("images.prune", $$"""{ "mountPoint": "{{_node.Root}}" }""");
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        Assert.StartsWith($"Deleted 1 images of 30.0 MiB. {_node.Root} has ", report.Summary, StringComparison.Ordinal);
        Assert.Equal("docker.io/library/old:1", report.Output!.Value.GetProperty("images")[0].GetString());
        Assert.Contains("rmi --prune", _node.Calls("crictl"));
    }

    [Fact]
    public async Task Images_stay_without_policy_permit_or_runtime_and_elsewhere()
    {
        WriteCrictl();
        AssertRefused(await _node.RunAsync("images.prune", """{ "mountPoint": "/proc" }"""), "on another file system");
        _node.Begin = () => new BeginAnswer(false, 0, "frozen");
        AssertRefused(await _node.RunAsync("images.prune"), "frozen");
        _node.WritePolicy("{}");
        AssertRefused(await _node.RunAsync("images.prune"), "does not have pruneImages");
        _node.WritePolicy("""{ "pruneImages": true }""");
        _node.WriteProgram(
            "crictl", "echo 'validate service connection: rpc error: code = Unavailable desc = connection error' >&2; exit 1");
        AssertRefused(await _node.RunAsync("images.prune"), "code = Unavailable");
    }

    [Fact]
    public async Task A_runtime_that_deletes_only_some_is_a_failure_that_says_which()
    {
        WriteCrictl();
        _node.WriteForPrograms("rmi.error", "rpc error: code = DeadlineExceeded desc = context deadline exceeded");
        var report = await _node.RunAsync("images.prune");
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("DeadlineExceeded", report.Summary, StringComparison.Ordinal);
        Assert.Equal(1, report.Output!.Value.GetProperty("count").GetInt32());
    }

    [Fact]
    public async Task Logs_are_rotated_with_the_named_files_alone()
    {
        _node.WriteProgram(
            "logrotate",
            """
            case "$*" in
            *bad*) echo "error: bad:1 unknown option 'x'" >&2; exit 1;;
            *debug*) echo "rotating pattern: /var/log/x.log" >&2;;
            esac
            """);
        _node.WritePolicy("""{ "rotateLogs": ["/etc/logrotate.d/a", "/etc/logrotate.d/b"] }""");
        var dry = await _node.RunAsync("logs.rotate", """{ "files": ["/etc/logrotate.d/b"] }""", dryRun: true);
        Assert.Contains(
            "rotating pattern", dry.Output!.Value.GetProperty("files")[0].GetProperty("said").GetString(), StringComparison.Ordinal);
        Assert.Equal(0, _node.Begins);
        Assert.Equal(CommandOutcome.Succeeded, (await _node.RunAsync("logs.rotate")).Outcome);
        Assert.Equal(["--debug /etc/logrotate.d/b", "/etc/logrotate.d/a", "/etc/logrotate.d/b"], _node.Calls("logrotate"));
        AssertRefused(await _node.RunAsync("logs.rotate", """{ "files": ["/etc/passwd"] }"""), "does not name /etc/passwd");
    }

    [Fact]
    public async Task A_configuration_that_is_bad_does_not_keep_the_others_from_their_turn()
    {
        _node.WriteProgram("logrotate", """case "$*" in *bad*) echo "error: bad:1 unknown option 'x'" >&2; exit 1;; esac""");
        _node.WritePolicy("""{ "rotateLogs": ["/etc/logrotate.d/bad", "/etc/logrotate.d/b"] }""");
        var report = await _node.RunAsync("logs.rotate");
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("unknown option", report.Summary, StringComparison.Ordinal);
        Assert.Equal(2, _node.Calls("logrotate").Length);
    }

    [Fact]
    public async Task Of_old_backups_the_newest_stay_and_the_oldest_goes_first()
    {
        var folders = WriteBackups(4);
        _node.Write("kubeadm-backup-manifests-9/a");
        var dry = await _node.RunAsync("disk.prune-backups", dryRun: true);
        Assert.Equal((CommandOutcome.Succeeded, 4), (dry.Outcome, folders.Count(Directory.Exists)));
        var report = await _node.RunAsync("disk.prune-backups", $$"""{ "mountPoint": "{{_node.Root}}" }""");
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        Assert.Equal(Said(dry), Said(report));
        Assert.Equal(folders[..2], Said(report));
        Assert.Equal([false, false, true, true], folders.Select(Directory.Exists));
        Assert.True(File.Exists(Path.Join(_node.Root, "kubeadm-backup-manifests-9/a")));
        Assert.True(report.Output!.Value.GetProperty("bytes").GetInt64() > 8192);
    }

    [Fact]
    public async Task A_backup_with_a_link_in_it_is_left_and_what_it_leads_to_is_untouched()
    {
        var folders = WriteBackups(3);
        Directory.CreateSymbolicLink(Path.Join(folders[0], "link"), _node.Outside);
        Directory.CreateSymbolicLink(Path.Join(_node.Root, "kubeadm-backup-etcd-link"), _node.Outside);
        File.SetLastWriteTimeUtc(folders[0], _node.Time.GetUtcNow().UtcDateTime.AddDays(-60));
        var report = await _node.RunAsync("disk.prune-backups");
        Assert.Contains("neither a file nor a folder", report.Output!.Value.GetProperty("left")[0].GetString(), StringComparison.Ordinal);
        Assert.True(Directory.Exists(folders[0]));
        _node.AssertOutsideIsWhole();
    }

    [Fact]
    public async Task Backups_stay_without_policy_or_permit_and_where_others_can_write()
    {
        var folders = WriteBackups(3);
        _node.Begin = () => new BeginAnswer(false, 0, "frozen");
        AssertRefused(await _node.RunAsync("disk.prune-backups"), "frozen");
        ActionFixture.Run("chmod", "o+w", _node.Root);
        AssertRefused(await _node.RunAsync("disk.prune-backups"), "can be written by others");
        _node.WritePolicy("{}");
        AssertRefused(await _node.RunAsync("disk.prune-backups"), "names no pruneBackups");
        Assert.All(folders, f => Assert.True(File.Exists(Path.Join(f, "etcd/member/snap.db"))));
    }

    // The first is the oldest.
    string[] WriteBackups(int count)
    {
        _node.WritePolicy($$"""{ "pruneBackups": [ { "root": "{{_node.Root}}", "pattern": "kubeadm-backup-etcd-*", "keep": 2 } ] }""");
        var folders = Enumerable.Range(0, count).Select(i => Path.Join(_node.Root, $"kubeadm-backup-etcd-{i}")).ToArray();
        for (var i = 0; i < count; i++)
        {
            _node.Write($"kubeadm-backup-etcd-{i}/etcd/member/snap.db", new string('x', 5000));
            Directory.SetLastWriteTimeUtc(folders[i], _node.Time.GetUtcNow().UtcDateTime.AddDays(i - 50));
        }

        return folders;
    }

    static IEnumerable<string> Said(ActionReport report) =>
        report.Output!.Value.GetProperty("deleted").EnumerateArray().Select(d => d.GetProperty("path").GetString()!);

    void WriteCrictl()
    {
        _node.WritePolicy("""{ "pruneImages": true }""");
        _node.WriteForPrograms(
            "used.json",
            """{"id":"sha256:1","repoTags":["docker.io/library/app:2"],"repoDigests":[],"size":"1000","""
            + """ "uid":null,"username":"","spec":null,"pinned":false}""");
        _node.WriteForPrograms(
            "pause.json",
            """{"id":"sha256:2","repoTags":["registry.k8s.io/pause:3.9"],"repoDigests":[],"size":"700000","""
            + """ "uid":{"value":"65535"},"username":"","spec":null,"pinned":true}""");
        _node.WriteForPrograms(
            "old.json",
            """{"id":"sha256:3","repoTags":["docker.io/library/old:1"],"repoDigests":["docker.io/library/old@sha256:4"],"""
            + """ "size":"31457280","uid":null,"username":"","spec":null,"pinned":false}""");
        _node.WriteProgram("crictl", $$$"""
            case "$*" in
            "images -o json")
                echo "{\"images\":[$(cat used.json),$(cat pause.json)$([ -f old.json ] && echo ,; cat old.json)]}" 2>/dev/null;;
            "ps -a -o json") echo '{"containers":[{"id":"c","podSandboxId":"p","image":{"image":"sha256:1","annotations":{}},
                "imageRef":"sha256:1","state":"CONTAINER_RUNNING"}]}';;
            imagefsinfo) echo '{"status":{"imageFilesystems":[{"timestamp":"1800000000000000000","fsId":{"mountpoint":"{{{_node.Root}}}"},
                "usedBytes":{"value":"1"},"inodesUsed":{"value":"1"}}],"containerFilesystems":[]}}';;
            "rmi --prune") rm old.json; echo "Deleted: docker.io/library/old:1";
                [ -f rmi.error ] && { cat rmi.error >&2; exit 1; }; exit 0;;
            *) exit 64;;
            esac
            """);
    }

    static void AssertRefused(ActionReport report, string reason)
    {
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains(reason, report.Summary, StringComparison.Ordinal);
    }
}
