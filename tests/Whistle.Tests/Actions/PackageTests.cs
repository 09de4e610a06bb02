using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class PackageTests : IDisposable
{
    readonly ActionFixture _node = new();

    public PackageTests()
    {
        _node.WritePolicy("""{ "pinPackages": ["kubelet", "kubeadm", "kubectl"] }""");
        // "name version want" a line; dpkg-query answers for those it knows, and complains of the others.
        _node.WriteForPrograms("installed", "kubelet 1.31.4-1.1 install\nkubeadm 1.31.4-1.1 hold\n");
        _node.WriteProgram("dpkg-query", """
            shift 3; code=0
            for p in "$@"; do
              if grep -q "^$p " installed; then grep "^$p " installed |
                while read -r n v w; do printf '%s\t%s\t%s\tinstalled\n' "$n" "$v" "$w"; done
              else echo "dpkg-query: no packages found matching $p" >&2; code=1; fi
            done
            exit $code
            """);
        _node.WriteProgram("apt-mark", """
            [ -f apt.error ] && { cat apt.error >&2; exit 100; }
            case "$1" in hold) to=hold;; unhold) to=install;; *) exit 100;; esac
            shift 2
            for p in "$@"; do sed -i "s/^\($p [^ ]*\) .*/\1 $to/" installed; echo "$p set on hold."; done
            """);
    }

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Versions_are_compared_with_those_that_should_be()
    {
        var report = await _node.RunAsync(
            "packages.check", """{ "packages": { "kubelet": "1.31.4-*", "kubeadm": "1.31.5-1.1", "kubectl": "1.31.4-1.1" } }""");
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        Assert.Equal(
            """{"drifted":2,"packages":[{"name":"kubeadm","wanted":"1.31.5-1.1","installed":"1.31.4-1.1","asWanted":false,"held":true},"""
            + """{"name":"kubectl","wanted":"1.31.4-1.1","asWanted":false,"held":false},"""
            + """{"name":"kubelet","wanted":"1.31.4-*","installed":"1.31.4-1.1","asWanted":true,"held":false}]}""",
            report.Output!.Value.GetRawText());
        Assert.Contains("kubeadm is 1.31.4-1.1 instead of 1.31.5-1.1", report.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_machines_own_dpkg_answers_so_too()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/dpkg-query"), "This machine has no dpkg-query.");
        File.Delete(Path.Join(_node.Programs, "dpkg-query"));
        var report = await _node.RunAsync("packages.check", """{ "packages": { "dpkg": "1*", "no-such-package": "1" } }""");
        Assert.Equal("1 of 2 packages are not as they should be; no-such-package is not installed instead of 1.", report.Summary);
    }

    [Theory]
    [InlineData("{}", "needs packages")]
    [InlineData("""{ "packages": { } }""", "packages has 0 values")]
    [InlineData("""{ "packages": { "-rf": "1" } }""", "must be the name of a Debian package")]
    [InlineData("""{ "packages": { "bash": "" } }""", "empty or too long")]
    public async Task Bad_parameters_are_refused(string parameters, string reason) =>
        AssertRefused(await _node.RunAsync("packages.check", parameters), reason);

    [Fact]
    public async Task Pinning_is_told_so_that_exactly_it_can_be_undone()
    {
        var dry = await _node.RunAsync("packages.pin", dryRun: true);
        Assert.Equal("Would put on hold: kubelet. Not installed: kubectl.", dry.Summary);
        Assert.Empty(_node.Calls("apt-mark"));
        var report = await _node.RunAsync("packages.pin");
        Assert.Equal((CommandOutcome.Succeeded, "Put on hold: kubelet. Not installed: kubectl."), (report.Outcome, report.Summary));
        Assert.Equal(
            """{"dryRun":false,"heldBefore":["kubeadm"],"changed":["kubelet"],"missing":["kubectl"]}""", report.Output!.Value.GetRawText());
        Assert.Equal("Put on hold: nothing more. Not installed: kubectl.", (await _node.RunAsync("packages.pin")).Summary);

        var undone = await _node.RunAsync("packages.unpin", """{ "packages": ["kubelet"] }""");
        Assert.Equal((CommandOutcome.Succeeded, "Took off hold: kubelet."), (undone.Outcome, undone.Summary));
        Assert.Equal(["hold -- kubelet", "unhold -- kubelet"], _node.Calls("apt-mark"));
        Assert.Equal("kubelet 1.31.4-1.1 install\nkubeadm 1.31.4-1.1 hold\n", File.ReadAllText(Path.Join(_node.Programs, "installed")));
    }

    [Fact]
    public async Task A_lock_that_is_held_is_told_in_the_words_of_apt()
    {
        _node.WriteForPrograms("apt.error", "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 99 (apt-get)");
        var report = await _node.RunAsync("packages.pin");
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("held by process 99", report.Summary, StringComparison.Ordinal);
        Assert.Equal(0, report.Output!.Value.GetProperty("changed").GetArrayLength());
    }

    [Fact]
    public async Task Without_policy_permit_or_name_no_hold_is_changed()
    {
        AssertRefused(await _node.RunAsync("packages.unpin"), "needs packages");
        AssertRefused(await _node.RunAsync("packages.unpin", """{ "packages": ["bash"] }"""), "does not name bash");
        AssertRefused(await _node.RunAsync("packages.pin", """{ "packages": ["bash"] }"""), "does not name bash");
        _node.Begin = () => new BeginAnswer(false, 0, "frozen");
        AssertRefused(await _node.RunAsync("packages.pin"), "frozen");
        _node.WritePolicy("{}");
        AssertRefused(await _node.RunAsync("packages.pin"), "names no pinPackages");
        Assert.Empty(_node.Calls("apt-mark"));
    }

    static void AssertRefused(ActionReport report, string reason)
    {
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains(reason, report.Summary, StringComparison.Ordinal);
    }
}
