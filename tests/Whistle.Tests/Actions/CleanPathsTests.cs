using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class CleanPathsTests : IDisposable
{
    const string Clean = "disk.clean-paths";

    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task A_dry_run_says_what_the_run_then_does_and_touches_nothing()
    {
        var doomed = new[] { _node.Write("a.log"), _node.Write("deep/er/b.log") };
        var stays = _node.Write("c.txt");

        var said = await _node.RunAsync(Clean, dryRun: true);
        Assert.All([.. doomed, stays], path => Assert.True(File.Exists(path)));
        Assert.Equal(0, _node.Begins);
        var done = await _node.RunAsync(Clean);

        Assert.All(doomed, path => Assert.False(File.Exists(path)));
        Assert.True(File.Exists(stays));
        Assert.Equal(CommandOutcome.Succeeded, done.Outcome);
        Assert.Equal(2, Count(done, "files"));
        Assert.Equal(said.Output!.Value.GetProperty("roots").GetRawText(), done.Output!.Value.GetProperty("roots").GetRawText());
    }

    [Fact]
    public async Task Young_files_stay_and_parameters_can_only_narrow()
    {
        var path = _node.Write("a.log");
        var young = _node.Time.GetUtcNow() - TimeSpan.FromDays(26);
        Assert.True(young < TimeProvider.System.GetUtcNow() + TimeSpan.FromDays(5));
        Assert.Equal(0, Count(await _node.RunAsync(Clean, """{ "minimumAge": "31d" }"""), "files"));
        Assert.Equal(0, Count(await _node.RunAsync(Clean, """{ "patterns": ["*.txt"] }"""), "files"));
        Assert.Equal(CommandOutcome.Refused, (await _node.RunAsync(Clean, $$"""{ "roots": ["{{_node.Outside}}"] }""")).Outcome);
        Assert.True(File.Exists(path));
        Assert.Equal(1, Count(await _node.RunAsync(Clean, """{ "minimumAge": "1s" }"""), "files"));
    }

    [Theory]
    [InlineData("""{ "paths": ["/"] }""", "no parameter paths")]
    [InlineData("""{ "minimumAge": "soon" }""", "7d")]
    [InlineData("""{ "patterns": [] }""", "patterns")]
    [InlineData("""{ "roots": 5 }""", "cannot be read")]
    [InlineData("""[1]""", "no JSON object")]
    [InlineData("""{ "mountPoint": "/../etc" }""", "absolute path")]
    public async Task Bad_parameters_are_refused_with_the_reason(string parameters, string reason)
    {
        var report = await _node.RunAsync(Clean, parameters);
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains(reason, report.Summary, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("//")]
    [InlineData("/etc")]
    [InlineData("/usr/share/x")]
    [InlineData("/var")]
    [InlineData("/var/lib/etcd/member")]
    [InlineData("relative/path")]
    [InlineData("/tmp/x/../../etc")]
    [InlineData("/tmp/x/")]
    [InlineData("")]
    public async Task A_policy_with_a_dangerous_root_lets_nothing_be_done(string root)
    {
        var path = _node.Write("a.log");
        _node.WritePolicy($$"""
            { "cleanPaths": [ { "root": "{{_node.Root}}", "patterns": ["*"], "minimumAge": "0s" },
                { "root": "{{root}}", "patterns": ["*"], "minimumAge": "0s" } ] }
            """);
        Assert.Equal(CommandOutcome.Refused, (await _node.RunAsync(Clean)).Outcome);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task A_policy_that_others_could_write_or_that_is_a_link_or_absent_lets_nothing_be_done()
    {
        var path = _node.Write("a.log");
        ActionFixture.Run("chmod", "g+w", _node.PolicyFile);
        var writable = await _node.RunAsync(Clean);
        File.Move(_node.PolicyFile, _node.PolicyFile + ".real");
        File.CreateSymbolicLink(_node.PolicyFile, _node.PolicyFile + ".real");
        var link = await _node.RunAsync(Clean);
        File.Delete(_node.PolicyFile);
        var absent = await _node.RunAsync(Clean);

        Assert.Contains("chmod", writable.Summary, StringComparison.Ordinal);
        Assert.Contains("link", link.Summary, StringComparison.Ordinal);
        Assert.Contains("To allow it", absent.Summary, StringComparison.Ordinal);
        Assert.All([writable, link, absent], report => Assert.Equal(CommandOutcome.Refused, report.Outcome));
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task A_policy_that_is_revoked_between_plan_and_mutation_stops_it()
    {
        var path = _node.Write("a.log");
        _node.Begin = () =>
        {
            _node.WritePolicy("{}");
            return new BeginAnswer(true, 10, null);
        };
        var report = await _node.RunAsync(Clean);
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task Without_a_permit_nothing_happens_and_one_that_ran_out_is_asked_for_again()
    {
        for (var i = 0; i < 3; i++)
            _node.Write($"{i}.log");
        _node.Begin = () => new BeginAnswer(false, 0, "The kill switch is on.");
        var refused = await _node.RunAsync(Clean);
        Assert.Equal(CommandOutcome.Refused, refused.Outcome);
        Assert.Contains("kill switch", refused.Summary, StringComparison.Ordinal);

        _node.Begin = () => new BeginAnswer(_node.Begins < 3, 10, "No more.");
        _node.BetweenLookAndAct = _ => _node.Time.Advance(TimeSpan.FromSeconds(11));
        var partly = await _node.RunAsync(Clean);
        Assert.Equal(CommandOutcome.Failed, partly.Outcome);
        Assert.Equal(1, Count(partly, "files"));
        Assert.Equal(2, Directory.GetFiles(_node.Root).Length);
    }

    [Fact]
    public async Task Links_that_lead_outside_are_never_followed_even_when_swapped_in_during_the_run()
    {
        File.CreateSymbolicLink(Path.Join(_node.Root, "link.log"), Path.Join(_node.Outside, "treasure.log"));
        Directory.CreateSymbolicLink(Path.Join(_node.Root, "way-out"), _node.Outside);
        _node.Write("folder/treasure.log");
        _node.Write("file.log");
        _node.BetweenLookAndAct = name =>
        {
            if (name == "folder" && Directory.Exists(Path.Join(_node.Root, name)))
            {
                Directory.Move(Path.Join(_node.Root, name), Path.Join(_node.Root, "moved"));
                Directory.CreateSymbolicLink(Path.Join(_node.Root, name), _node.Outside);
            }
            else if (name == "file.log")
            {
                File.Delete(Path.Join(_node.Root, name));
                File.CreateSymbolicLink(Path.Join(_node.Root, name), Path.Join(_node.Outside, "treasure.log"));
            }
        };
        await _node.RunAsync(Clean);
        _node.AssertOutsideIsWhole();
        Assert.NotNull(new FileInfo(Path.Join(_node.Root, "file.log")).LinkTarget);
    }

    [Fact]
    public async Task A_folder_moved_outside_while_the_walk_is_deep_below_it_ends_the_walk_there()
    {
        var deep = string.Join('/', Enumerable.Range(0, TreeWalk.MostOpen + 6).Select(i => $"d{i}"));
        _node.Write($"{deep}/x.log");
        File.WriteAllText(Path.Join(_node.Outside, "other.log"), "stays");
        _node.BetweenLookAndAct = name =>
        {
            if (name == "x.log")
                Directory.Move(Path.Join(_node.Root, "d0/d1"), Path.Join(_node.Outside, "d1"));
        };
        var report = await _node.RunAsync(Clean);
        Assert.True(File.Exists(Path.Join(_node.Outside, "other.log")));
        _node.AssertOutsideIsWhole();
        Assert.True(report.Output!.Value.GetProperty("roots")[0].GetProperty("left").GetProperty("unreadable").GetInt64() > 0);
    }

    [Fact]
    public async Task A_root_behind_a_link_is_refused()
    {
        var link = _node.Root + "-link";
        Directory.CreateSymbolicLink(link, _node.Outside);
        _node.WritePolicy($$"""{ "cleanPaths": [ { "root": "{{link}}", "patterns": ["*"], "minimumAge": "0s" } ] }""");
        var report = await _node.RunAsync(Clean);
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        _node.AssertOutsideIsWhole();
    }

    [Fact]
    public async Task Open_and_hard_linked_files_stay_because_deleting_them_frees_nothing()
    {
        var open = _node.Write("open.log");
        var linked = _node.Write("linked.log");
        ActionFixture.Run("ln", linked, Path.Join(_node.Outside, "other-name"));
        _node.ProcPath = "/proc";
        // The machine's own /proc may hide a process from a test.
        _node.WritePolicy($$"""
            { "acceptUnseenProcesses": true, "cleanPaths": [ { "root": "{{_node.Root}}", "patterns": ["*.log"], "minimumAge": "7d" } ] }
            """);
        using (File.Open(open, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete))
        {
            var report = await _node.RunAsync(Clean);
            Assert.Contains("1 open", report.Summary, StringComparison.Ordinal);
            Assert.Contains("1 hard-linked", report.Summary, StringComparison.Ordinal);
            Assert.True(File.Exists(open) && File.Exists(linked));
        }

        Assert.Equal(1, Count(await _node.RunAsync(Clean), "files"));
        Assert.False(File.Exists(open));
        Assert.True(File.Exists(linked));
    }

    [Fact]
    public async Task Names_with_newlines_and_bytes_that_are_no_text_are_deleted_and_shown_escaped()
    {
        _node.Write("a\nb.log");
        ActionFixture.Run("sh", "-c", $"touch \"{_node.Root}/$(printf 'c\\377').log\"");
        var report = await _node.RunAsync(Clean);
        var examples = report.Output!.Value.GetProperty("roots")[0].GetProperty("examples").EnumerateArray().Select(e => e.GetString())
            .Order(StringComparer.Ordinal);
        Assert.Equal([@"a\x0ab.log", @"c\xff.log"], examples);
        Assert.Empty(Directory.GetFileSystemEntries(_node.Root));
    }

    [Theory]
    [InlineData("a.log", "*.log", true)]
    [InlineData("a.log.gz", "*.log", false)]
    [InlineData("é.log", "?.log", true)]
    [InlineData("core.12", "core.*", true)]
    [InlineData("aaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "*a*a*a*a*a*a*c", false)]
    [InlineData("x", "**", true)]
    [InlineData("x", "", false)]
    public void Patterns_match_whole_names(string name, string pattern, bool matches) =>
        Assert.Equal(matches, FileName.Matches(System.Text.Encoding.UTF8.GetBytes(name), System.Text.Encoding.UTF8.GetBytes(pattern)));

    static long Count(ActionReport report, string what) => report.Output!.Value.GetProperty(what).GetInt64();
}
