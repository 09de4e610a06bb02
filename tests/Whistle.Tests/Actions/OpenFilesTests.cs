using System.Runtime.InteropServices;

using Whistle.Actions.Contract;
using Whistle.Actions.Disk;
using Whistle.Actions.Files;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>What is in use stays, and where that cannot be seen nothing goes.</summary>
public sealed class OpenFilesTests : IDisposable
{
    const string Clean = "disk.clean-paths";

    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task With_a_process_that_may_not_be_looked_into_nothing_is_deleted_and_the_mend_is_said(bool dryRun)
    {
        var path = _node.Write("a.log");
        HideFilesOf(_node.WriteProcess(7));
        var report = await _node.RunAsync(Clean, dryRun: dryRun);
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.All(
            ["1 process ", "7, program7", "CAP_SYS_PTRACE", "--path.procfs", "acceptUnseenProcesses", _node.PolicyFile],
            part => Assert.Contains(part, report.Summary, StringComparison.Ordinal));
        Assert.True(File.Exists(path));
        Assert.Equal(0, _node.Begins);
    }

    [Fact]
    public async Task The_nodes_own_policy_may_accept_that_and_the_report_counts_them()
    {
        var path = _node.Write("a.log");
        HideFilesOf(_node.WriteProcess(7));
        WritePolicy(accept: true);
        var report = await _node.RunAsync(Clean);
        Assert.Equal(CommandOutcome.Succeeded, report.Outcome);
        Assert.Equal(1, report.Output!.Value.GetProperty("processesUnseen").GetInt32());
        Assert.False(File.Exists(path));
    }

    [Fact]
    public async Task What_was_accepted_can_be_taken_back_until_the_permit_is_given()
    {
        var path = _node.Write("a.log");
        HideFilesOf(_node.WriteProcess(7));
        WritePolicy(accept: true);
        _node.Begin = () =>
        {
            WritePolicy(accept: false);
            return new BeginAnswer(true, 10, null);
        };
        Assert.Equal(CommandOutcome.Refused, (await _node.RunAsync(Clean)).Outcome);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task Where_the_first_process_is_hidden_or_only_a_containers_nothing_is_deleted()
    {
        var path = _node.Write("a.log");
        var link = Path.Join(_node.ProcPath, "1/ns/pid");
        File.Delete(link);
        File.CreateSymbolicLink(link, "pid:[4026532001]");
        var container = await _node.RunAsync(Clean);
        Directory.Delete(Path.Join(_node.ProcPath, "1"), recursive: true);
        _node.WriteProcess(7);
        var hidden = await _node.RunAsync(Clean);
        _node.ProcPath = "/nowhere";
        var none = await _node.RunAsync(Clean);

        Assert.All(
            [(container, "outside of the container"), (hidden, "hides"), (none, "/nowhere")],
            r => Assert.Contains(r.Item2, r.Item1.Summary, StringComparison.Ordinal));
        Assert.All([container, hidden, none], r => Assert.Equal(CommandOutcome.Refused, r.Outcome));
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task Files_that_are_open_only_mapped_or_a_loop_device_stay()
    {
        var open = _node.Write("open.log");
        var mapped = _node.Write("mapped.log");
        var loop = _node.Write("loop\n.log");
        _node.Write("free.log");
        File.CreateSymbolicLink(Path.Join(_node.WriteProcess(7), "fd", "3"), open);
        Assert.Equal(0, Native.StatFollowing(mapped, out var stat));
        _node.WriteProcess(
            8, $"7f0000000000-7f0000001000 r--s 00000000 {stat.Device >> 32:x2}:{(uint)stat.Device:x2} {stat.Inode} {mapped}\n");
        _node.SysPath = Path.Join(_node.Root, "../sys");
        File.WriteAllText(
            Path.Join(Directory.CreateDirectory(Path.Join(_node.SysPath, "block/loop0/loop")).FullName, "backing_file"), loop + "\n");
        var report = await _node.RunAsync(Clean);
        Assert.Contains("3 open", report.Summary, StringComparison.Ordinal);
        Assert.Equal(
            new[] { loop, mapped, open }.Order(StringComparer.Ordinal), Directory.GetFiles(_node.Root).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task What_is_opened_during_a_long_run_stays_too()
    {
        string[] files = [_node.Write("a.log"), _node.Write("b.log"), _node.Write("c.log")];
        var process = _node.WriteProcess(7);
        _node.BetweenLookAndAct = _ =>
        {
            _node.Time.Advance(TimeSpan.FromSeconds(11));
            foreach (var file in files)
                File.CreateSymbolicLink(Path.Join(process, "fd", Path.GetFileName(file)), file);
        };
        var report = await _node.RunAsync(Clean);
        Assert.Contains("2 open", report.Summary, StringComparison.Ordinal);
        Assert.Equal(2, files.Count(File.Exists));
    }

    [Fact]
    public async Task A_process_that_hides_itself_during_a_long_run_ends_it()
    {
        _node.Write("a.log");
        _node.Write("b.log");
        var process = _node.WriteProcess(7);
        _node.BetweenLookAndAct = _ =>
        {
            _node.Time.Advance(TimeSpan.FromSeconds(11));
            HideFilesOf(process);
        };
        var report = await _node.RunAsync(Clean);
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Single(Directory.GetFiles(_node.Root));
    }

    [Fact]
    public void Without_root_the_machines_own_processes_cannot_all_be_seen()
    {
        var context = new ActionContext { DryRun = true, Guard = MutationGuard.Closed(TimeProvider.System), Time = TimeProvider.System };
        var reason = "";
        Assert.Null(Unprivileged.Run(() => OpenFiles.Scan(context, new HashSet<ulong>(), false, CancellationToken.None, out reason)));
        Assert.Contains("CAP_SYS_PTRACE", reason, StringComparison.Ordinal);
    }

    void WritePolicy(bool accept) => _node.WritePolicy($$"""
        {
          "acceptUnseenProcesses": {{(accept ? "true" : "false")}},
          "cleanPaths": [ { "root": "{{_node.Root}}", "patterns": ["*.log"], "minimumAge": "7d" } ]
        }
        """);

    static void HideFilesOf(string process) => Directory.Delete(Path.Join(process, "fd"), recursive: true);
}

/// <summary>Runs something with the file rights of nobody, on a thread of its own: Linux keeps these for each thread.</summary>
static class Unprivileged
{
    public static T Run<T>(Func<T> what)
    {
        T result = default!;
        Exception? thrown = null;
        var thread = new Thread(() =>
        {
            _ = SetFileUser(65534);
            thrown = Record.Exception(() => result = what());
        });
        thread.Start();
        thread.Join();
        Assert.Null(thrown);
        return result;
    }

    [DllImport("libc", EntryPoint = "setfsuid")]
    static extern int SetFileUser(uint user);
}
