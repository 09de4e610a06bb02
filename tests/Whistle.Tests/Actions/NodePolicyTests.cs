using Whistle.Actions;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>A policy with any mistake lets nothing be done, and says which.</summary>
public sealed class NodePolicyTests : IDisposable
{
    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Theory]
    [InlineData("""{ "restartUnits": [ { "unit": "kubelet" } ] }""", "with its ending")]
    [InlineData("""{ "restartUnits": [ { "unit": "whistle-agent.service" } ] }""", "cannot report its own restart")]
    [InlineData("""{ "restartUnits": [ { "unit": "a.service", "mostStartsIn20Minutes": 0 } ] }""", "within 1 to 100")]
    [InlineData("""{ "restartUnits": [ null ] }""", "null in it")]
    [InlineData("""{ "cleanPaths": [ null ] }""", "null in it")]
    [InlineData("""{ "raiseSysctls": [ { "name": "fs/file-max", "cap": 1 } ] }""", "Write it with dots")]
    [InlineData("""{ "raiseSysctls": [ { "name": "fs..file", "cap": 1 } ] }""", "Write it with dots")]
    [InlineData("""{ "raiseSysctls": [ { "name": "fs.file-max", "cap": 0 } ] }""", "a cap of at least 1")]
    [InlineData("""{ "raiseSysctls": [ { "name": "fs.file-max", "cap": 5, "floor": 6 } ] }""", "a floor from 0 to the cap")]
    [InlineData("""{ "certificates": [ { "path": "pki" } ] }""", "not absolute")]
    [InlineData("""{ "renewCertificates": { "names": ["ca"], "backupFolder": "/b" } }""", "must be some of admin.conf")]
    [InlineData("""{ "renewCertificates": { "names": [null], "backupFolder": "/b" } }""", "must be some of admin.conf")]
    [InlineData("""{ "renewCertificates": { "names": ["apiserver"], "backupFolder": "b" } }""", "backupFolder")]
    [InlineData("""{ "renewCertificates": { "names": ["apiserver"], "backupFolder": "/b", "command": [] } }""", "command of renewCertificates")]
    [InlineData("""{ "crictl": "../crictl" }""", "neither a name nor an absolute path")]
    [InlineData("""{ "rotateLogs": ["logrotate.d/x"] }""", "rotateLogs is not absolute")]
    [InlineData("""{ "rotateLogs": ["/etc/logrotate.d/../x"] }""", "a slash or a dot too many")]
    [InlineData("""{ "pruneBackups": [ { "root": "/etc/kubernetes/pki", "pattern": "kubeadm-*", "keep": 1 } ] }""", "never cleaned")]
    [InlineData("""{ "pruneBackups": [ { "root": "/", "pattern": "kubeadm-*", "keep": 1 } ] }""", "never cleaned")]
    [InlineData("""{ "pruneBackups": [ { "root": "/etc/kubernetes/tmp", "pattern": "*", "keep": 1 } ] }""", "say something beside them")]
    [InlineData("""{ "pruneBackups": [ { "root": "/etc/kubernetes/tmp", "pattern": "kubeadm-*", "keep": 0 } ] }""", "below 1")]
    [InlineData("""{ "pinPackages": ["--force"] }""", "no name of a Debian package")]
    public void A_mistake_is_told_and_nothing_is_allowed(string policy, string reason)
    {
        _node.WritePolicy(policy);
        Assert.Null(NodePolicy.Read(_node.PolicyFile, [], out var refusal));
        Assert.Contains(reason, refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_action_that_changes_something_is_refused_without_a_policy_and_touches_nothing()
    {
        File.Delete(_node.PolicyFile);
        var needed = new Dictionary<string, string>
        {
            ["unit.restart"] = """{ "unit": "a.service" }""",
            ["sysctl.raise"] = """{ "name": "fs.file-max", "factor": 2 }""",
            ["sysctl.restore"] = """{ "name": "fs.file-max", "value": 1, "expected": 2 }""",
            ["certificates.renew"] = """{ "within": "1d" }""",
            ["packages.unpin"] = """{ "packages": ["a1"] }""",
        };
        foreach (var action in NodeActions.All.Where(a => a.Mutates))
        {
            var report = await _node.RunAsync(action.Name, needed.GetValueOrDefault(action.Name, "{}"));
            Assert.Equal((action.Name, CommandOutcome.Refused), (action.Name, report.Outcome));
            Assert.Contains("does not exist, so nothing may be changed", report.Summary, StringComparison.Ordinal);
        }

        Assert.Equal(0, _node.Begins);
    }

    [Fact]
    public async Task With_its_time_over_before_it_starts_every_action_still_answers()
    {
        _node.Cancellation = new CancellationToken(canceled: true);
        foreach (var action in NodeActions.All)
            Assert.NotEmpty((await _node.RunAsync(action.Name)).Summary);
    }
}
