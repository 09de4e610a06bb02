using System.Runtime.InteropServices;
using System.Text.Json;

using Whistle.Actions.Disk;
using Whistle.Actions.Files;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class LargestDirectoriesTests : IDisposable
{
    const int Block = 4096;

    readonly ActionFixture _node = new();

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task Directories_count_with_all_that_is_below_them_and_the_largest_come_first()
    {
        Fill("a/b/large", 40);
        Fill("a/small", 2);
        Fill("c/middle", 10);
        var report = await MeasureAsync();
        Assert.Equal(["a", "a/b", "c"], Paths(report, "largestDirectories"));
        Assert.Equal(["a/b/large", "c/middle", "a/small"], Paths(report, "largestFiles"));
        Assert.Equal(40 * Block, report.GetProperty("largestFiles")[0].GetProperty("bytes").GetInt64());
        Assert.InRange(
            report.GetProperty("largestDirectories")[0].GetProperty("bytes").GetInt64(), 42 * Block, 42 * Block + 2 * (Block << 2));
        Assert.Equal((3, 3), (report.GetProperty("files").GetInt64(), report.GetProperty("directories").GetInt64()));
        Assert.True(report.GetProperty("complete").GetBoolean());
    }

    [Fact]
    public async Task A_file_with_several_names_is_counted_once_and_a_sparse_file_by_what_it_takes()
    {
        var first = Fill("a/file", 50);
        Directory.CreateDirectory(Path.Join(_node.Root, "b"));
        ActionFixture.Run("ln", first, Path.Join(_node.Root, "b/same"));
        ActionFixture.Run("truncate", "-s", "1G", Path.Join(_node.Root, "sparse"));
        var report = await MeasureAsync();
        Assert.Equal(3, report.GetProperty("files").GetInt64());
        Assert.InRange(report.GetProperty("bytes").GetInt64(), 50 * Block, 60 * Block);
        Assert.Single(report.GetProperty("largestFiles").EnumerateArray());
    }

    [Fact]
    public async Task A_tree_of_thousands_of_levels_is_measured_to_its_bottom()
    {
        MakeDeep(3000, Fill("bottom", 8));
        var report = await MeasureAsync("""{ "depth": 2 }""");
        Assert.Equal(3000, report.GetProperty("directories").GetInt64());
        Assert.Equal(["d", "d/d"], Paths(report, "largestDirectories"));
        var file = Assert.Single(Paths(report, "largestFiles"));
        Assert.EndsWith("/bottom", file, StringComparison.Ordinal);
        Assert.InRange(file.Length, 100, 1000);
        Assert.True(report.GetProperty("complete").GetBoolean());
    }

    [Fact]
    public async Task A_tree_that_is_deeper_than_all_reason_is_measured_down_to_a_limit_and_says_so()
    {
        MakeDeep(TreeWalk.Deepest + 10, Fill("bottom", 8));
        var report = await MeasureAsync();
        Assert.Equal(TreeWalk.Deepest - 1, report.GetProperty("directories").GetInt64());
        Assert.Equal(1, report.GetProperty("tooDeep").GetInt64());
        Assert.False(report.GetProperty("complete").GetBoolean());
    }

    [Fact]
    public async Task Names_with_newlines_are_shown_escaped_and_links_devices_and_pipes_count_for_nothing()
    {
        Fill("line\nbreak/also\there", 3);
        Directory.CreateSymbolicLink(Path.Join(_node.Root, "link"), "/usr");
        File.CreateSymbolicLink(Path.Join(_node.Root, "link-to-file"), Path.Join(_node.Outside, "treasure.log"));
        ActionFixture.Run("mkfifo", Path.Join(_node.Root, "pipe"));
        ActionFixture.Run("mknod", Path.Join(_node.Root, "device"), "c", "1", "3");
        var report = await MeasureAsync();
        Assert.Equal([@"line\x0abreak"], Paths(report, "largestDirectories"));
        Assert.Equal([@"line\x0abreak/also\x09here"], Paths(report, "largestFiles"));
        Assert.Equal((1, 1), (report.GetProperty("files").GetInt64(), report.GetProperty("directories").GetInt64()));
    }

    [Fact]
    public void A_folder_that_may_not_be_read_is_counted_as_that_and_the_rest_is_measured()
    {
        Fill("closed/secret", 5);
        Fill("open/file", 5);
        ActionFixture.Run("chmod", "go-rwx", Path.Join(_node.Root, "closed"));
        using var walk = Walk();
        var report = Unprivileged.Run(() => new TreeSizes(walk, _node.Root, depth: 4, count: 20).Measure(CancellationToken.None));
        Assert.Equal((1, 1, false), (report.Unreadable, report.Files, report.Complete));
    }

    [Fact]
    public async Task A_folder_that_is_swapped_for_a_link_while_it_is_entered_is_not_followed()
    {
        Fill("folder/file", 1);
        _node.BetweenLookAndAct = name =>
        {
            Directory.Move(Path.Join(_node.Root, name), Path.Join(_node.Outside, "moved"));
            Directory.CreateSymbolicLink(Path.Join(_node.Root, name), "/usr");
        };
        var report = await MeasureAsync();
        Assert.Equal((0, 1), (report.GetProperty("files").GetInt64(), report.GetProperty("unreadable").GetInt64()));
    }

    [Fact]
    public void When_the_time_is_over_it_says_what_it_saw_until_then_folder_by_folder()
    {
        for (var i = 0; i < 20; i++)
            Fill($"a/b/file{i}", 1);
        using var limit = new CancellationTokenSource();
        using var walk = Walk(name =>
        {
            if (name == "b")
                limit.Cancel();
        });
        var report = new TreeSizes(walk, _node.Root, depth: 4, count: 20).Measure(limit.Token);
        Assert.False(report.Complete);
        Assert.Equal(0, report.Files);
        Assert.Equal([Path.Join(_node.Root, "a"), Path.Join(_node.Root, "a/b")], report.LargestDirectories.Select(d => d.Path));
    }

    [Fact]
    public async Task With_its_time_over_before_it_starts_it_still_answers()
    {
        Fill("a/file", 1);
        _node.Cancellation = new CancellationToken(canceled: true);
        Assert.False((await MeasureAsync()).GetProperty("complete").GetBoolean());
    }

    [Fact]
    public async Task Depth_and_count_limit_what_is_listed_but_not_what_is_counted()
    {
        for (var i = 0; i < 5; i++)
            Fill($"d{i}/e/f{i}", i + 1);
        var report = await MeasureAsync("""{ "depth": 1, "count": 2 }""");
        Assert.Equal(["d4", "d3"], Paths(report, "largestDirectories"));
        Assert.Equal(["d4/e/f4", "d3/e/f3"], Paths(report, "largestFiles"));
        Assert.Equal((5, 10), (report.GetProperty("files").GetInt64(), report.GetProperty("directories").GetInt64()));
        Assert.InRange(report.GetProperty("bytes").GetInt64(), 15 * Block, long.MaxValue);
    }

    [Theory]
    [InlineData("""{ "depth": 0 }""", "depth must be a whole number, 1 to 32")]
    [InlineData("""{ "depth": 33 }""", "depth must be a whole number, 1 to 32")]
    [InlineData("""{ "count": 0 }""", "count must be a whole number, 1 to 100")]
    [InlineData("""{ "count": 101 }""", "count must be a whole number, 1 to 100")]
    [InlineData("""{ "count": "many" }""", "cannot be read")]
    [InlineData("""{ "mountPoint": null }""", "cannot be read")]
    [InlineData("""{ "path": "/" }""", "no parameter path")]
    [InlineData("""{ "mountPoint": "data" }""", "absolute path")]
    [InlineData("""{ "mountPoint": "/tmp/../etc" }""", "absolute path")]
    [InlineData("""{ "mountPoint": "/no/such/folder" }""", "does not exist")]
    [InlineData("""{ "mountPoint": "/etc/passwd" }""", "not a folder")]
    [InlineData("[]", "no JSON object")]
    public async Task Bad_parameters_are_refused_with_the_reason(string parameters, string reason)
    {
        var report = await _node.RunAsync("disk.largest-directories", parameters);
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains(reason, report.Summary, StringComparison.Ordinal);
    }

    string Fill(string path, int blocks)
    {
        var full = _node.Write(path, "");
        File.WriteAllBytes(full, new byte[blocks * Block]);
        return full;
    }

    // Folder by folder, since no path may be so long. The file goes to the bottom.
    void MakeDeep(int levels, string file)
    {
        Assert.Equal(0, Native.OpenFolder(_node.Root, out var folder));
        var top = folder;
        for (var i = 0; i < levels; i++)
        {
            Assert.Equal(0, MakeFolder(folder, Name("d"), 0x1C0));
            var below = OpenFolder(folder, Name("d"), 0);
            if (folder != top)
                Native.Close(folder);
            folder = below;
        }

        var name = Name(Path.GetFileName(file));
        Assert.Equal(0, Rename(top, name, folder, name));
        Native.Close(folder);
        Native.Close(top);
    }

    static byte[] Name(string name) => System.Text.Encoding.UTF8.GetBytes(name + "\0");

    [DllImport("libc", EntryPoint = "mkdirat")]
    static extern int MakeFolder(int folder, byte[] name, uint mode);

    [DllImport("libc", EntryPoint = "openat")]
    static extern int OpenFolder(int folder, byte[] name, int flags);

    [DllImport("libc", EntryPoint = "renameat")]
    static extern int Rename(int folder, byte[] name, int toFolder, byte[] toName);

    TreeWalk Walk(Action<string>? betweenLookAndAct = null)
    {
        Assert.Equal(0, Native.OpenFolder(_node.Root, out var folder));
        Assert.Equal(0, Native.Stat(folder, out var stat));
        return new TreeWalk(folder, stat, betweenLookAndAct);
    }

    async Task<JsonElement> MeasureAsync(string parameters = "{}")
    {
        var at = parameters.TrimEnd('}').TrimEnd();
        var report = await _node.RunAsync(
            "disk.largest-directories", $$"""{{at}}{{(at == "{" ? "" : ",")}} "mountPoint": "{{_node.Root}}" }""");
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        return report.Output!.Value;
    }

    IEnumerable<string> Paths(JsonElement report, string list) =>
        report.GetProperty(list).EnumerateArray().Select(e => e.GetProperty("path").GetString()![(_node.Root.Length + 1)..]);
}
