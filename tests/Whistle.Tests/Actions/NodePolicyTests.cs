using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

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
    [InlineData(
        """{ "renewCertificates": { "names": ["apiserver"], "backupFolder": "/b", "command": [] } }""", "command of renewCertificates")]
    [InlineData("""{ "crictl": "../crictl" }""", "neither a name nor an absolute path")]
    [InlineData("""{ "rotateLogs": ["logrotate.d/x"] }""", "rotateLogs is not absolute")]
    [InlineData("""{ "rotateLogs": ["/etc/logrotate.d/../x"] }""", "a slash or a dot too many")]
    [InlineData("""{ "pruneBackups": [ { "root": "/etc/kubernetes/pki", "pattern": "kubeadm-*", "keep": 1 } ] }""", "never cleaned")]
    [InlineData("""{ "pruneBackups": [ { "root": "/", "pattern": "kubeadm-*", "keep": 1 } ] }""", "never cleaned")]
    [InlineData("""{ "pruneBackups": [ { "root": "/etc/kubernetes/tmp", "pattern": "*", "keep": 1 } ] }""", "say something beside them")]
    [InlineData("""{ "pruneBackups": [ { "root": "/etc/kubernetes/tmp", "pattern": "kubeadm-*", "keep": 0 } ] }""", "below 1")]
    [InlineData("""{ "pinPackages": ["--force"] }""", "not the name of a Debian package")]
    public void A_mistake_is_told_and_nothing_is_allowed(string policy, string reason)
    {
        _node.WritePolicy(policy);
        Assert.Null(NodePolicy.Read(_node.PolicyFile, [], out var refusal));
        Assert.Contains(reason, refusal, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("chmod 0777 {folder}", "chmod go-w {folder}")]
    [InlineData("chmod 0770 {folder}", "chmod go-w {folder}")]
    [InlineData("chown 4711 {folder}", "chown root {folder}")]
    [InlineData("chmod 0777 {above}", "chmod go-w {above}")]
    [InlineData("chown 4711 {above}", "chown root {above}")]
    [InlineData("chmod 0646 {file}", "chmod go-w {file}")]
    [InlineData("chown 4711 {file}", "chown root {file}")]
    [InlineData("mv {folder} {folder}.real; ln -s {folder}.real {folder}; chown -h 4711 {folder}", "chown -h root {folder}")]
    [InlineData("mv {folder} {folder}.real; chmod 0777 {folder}.real; ln -s {folder}.real {folder}", "chmod go-w {folder}.real")]
    public void A_policy_that_others_could_exchange_is_refused_and_the_command_that_is_named_is_enough(string fault, string command)
    {
        var above = Path.Join(_node.Root, "above");
        var folder = Path.Join(above, "whistle");
        var file = Path.Join(folder, "policy.json");
        string Filled(string text) => text.Replace("{folder}", folder).Replace("{above}", above).Replace("{file}", file);
        Directory.CreateDirectory(folder);
        File.WriteAllText(file, "{}");
        Assert.NotNull(NodePolicy.Read(file, [], out _));

        ActionFixture.Run("sh", "-c", Filled(fault));
        Assert.Null(NodePolicy.Read(file, [], out var refusal));
        Assert.EndsWith($"use: {Filled(command)}", refusal, StringComparison.Ordinal);
        ActionFixture.Run("sh", "-c", Filled(command));
        Assert.NotNull(NodePolicy.Read(file, [], out _));
    }

    [Fact]
    public void A_policy_is_read_through_a_link_of_roots_and_below_a_sticky_folder()
    {
        var sticky = Path.Join(_node.Root, "sticky");
        Directory.CreateDirectory(Path.Join(sticky, "real"));
        ActionFixture.Run("chmod", "1777", sticky);
        File.WriteAllText(Path.Join(sticky, "real", "policy.json"), "{}");
        File.CreateSymbolicLink(Path.Join(_node.Root, "link"), "sticky/real");

        Assert.NotNull(NodePolicy.Read(Path.Join(_node.Root, "link", "policy.json"), [], out _));
    }

    [Fact]
    public async Task Every_action_that_changes_something_is_refused_without_a_policy_and_touches_nothing()
    {
        File.Delete(_node.PolicyFile);
        foreach (var action in NodeActions.All.Select(a => a.Descriptor).Where(d => d.Mutates))
        {
            var report = await _node.RunAsync(action.Name, Example(action));
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
            Assert.NotEmpty((await _node.RunAsync(action.Descriptor.Name, Example(action.Descriptor))).Summary);
    }

    static string Example(ActionDescriptor action) =>
        $"{{ {string.Join(", ", action.Parameters.Where(p => p.Example is not null).Select(p => $"\"{p.Name}\": {p.Example}"))} }}";
}
