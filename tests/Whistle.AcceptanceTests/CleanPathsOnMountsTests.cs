using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The clean-up on real file systems: mounts that are there or appear while it runs, and what a file system itself refuses.
/// </summary>
public sealed class CleanPathsOnMountsTests
{
    const string Clean = "disk.clean-paths";

    [Fact]
    public async Task Neither_another_file_system_nor_a_bind_mount_below_the_root_is_entered()
    {
        using var node = ActionDisk.Memory();
        var treasure = node.Write("outside/treasure");
        node.Write("root/waste");
        var other = node.Mount("-t", "tmpfs", "whistle-test", Path.Join(node.Root, "other"));
        File.WriteAllText(Path.Join(other, "treasure"), "gold");
        node.Mount("--bind", node.Outside, Path.Join(node.Root, "bound"));
        // A file can be a mount as well.
        node.Mount("--bind", treasure, node.Write("root/bound-file"));

        foreach (var dryRun in new[] { true, false })
        {
            var report = Succeeded(await node.RunAsync(Clean, dryRun: dryRun));
            Assert.Equal(1, report.GetProperty("files").GetInt64());
            Assert.Equal(3, report.GetProperty("roots")[0].GetProperty("left").GetProperty("other-mount").GetInt64());
        }

        Assert.All([treasure, Path.Join(other, "treasure")], path => Assert.Equal("gold", File.ReadAllText(path)));
        var measured = Succeeded(await node.RunAsync("disk.largest-directories", $$"""{ "mountPoint": "{{node.Root}}" }"""));
        Assert.Equal((0, 3), (measured.GetProperty("files").GetInt64(), measured.GetProperty("otherMounts").GetInt64()));
    }

    [Fact]
    public async Task A_mount_that_appears_between_looking_at_a_folder_and_entering_it_is_not_entered()
    {
        using var node = ActionDisk.Memory();
        var treasure = node.Write("outside/treasure");
        node.Write("root/folder/waste");
        node.BetweenLookAndAct = name =>
        {
            if (name == "folder")
                node.Mount("--bind", node.Outside, Path.Join(node.Root, name));
        };
        var report = Succeeded(await node.RunAsync(Clean));
        Assert.Equal(0, report.GetProperty("files").GetInt64());
        Assert.True(File.Exists(treasure));
    }

    [Theory]
    [InlineData("")]
    [InlineData("d0")]
    public async Task A_root_or_a_folder_that_becomes_a_mount_while_the_walk_is_deep_below_it_is_not_returned_to(string mounted)
    {
        using var node = ActionDisk.Memory();
        var treasure = node.Write("outside/treasure");
        var deep = string.Join('/', Enumerable.Range(0, TreeWalk.MostOpen + 6).Select(i => $"d{i}"));
        node.Write($"root/{deep}/bottom");
        node.BetweenLookAndAct = name =>
        {
            if (name == "bottom")
                node.Mount("--bind", node.Outside, Path.Join(node.Root, mounted).TrimEnd('/'));
        };
        var report = Succeeded(await node.RunAsync(Clean));
        Assert.Equal(1, report.GetProperty("files").GetInt64());
        Assert.True(report.GetProperty("roots")[0].GetProperty("left").GetProperty("unreadable").GetInt64() > 0);
        Assert.True(File.Exists(treasure));
    }

    [Fact]
    public async Task A_parent_that_is_swapped_for_a_link_or_a_mount_changes_nothing_for_the_run()
    {
        using var node = ActionDisk.Memory();
        var treasure = node.Write("outside/folder/treasure");
        node.Write("root/folder/treasure");
        node.BetweenLookAndAct = name =>
        {
            if (name != "folder")
                return;
            Directory.Move(node.Root, node.Root + ".moved");
            Directory.CreateSymbolicLink(node.Root, node.Outside);
        };
        var report = Succeeded(await node.RunAsync(Clean));
        Assert.Equal(1, report.GetProperty("files").GetInt64());
        Assert.Empty(Directory.GetFiles(node.Root + ".moved", "*", SearchOption.AllDirectories));
        Assert.True(File.Exists(treasure));
    }

    [Fact]
    public async Task A_vital_folder_under_another_name_is_refused_as_is_what_holds_it_or_lies_in_it()
    {
        using var node = ActionDisk.Memory();
        var treasure = node.Write("disk/agent/buffer/treasure");
        var buffer = Path.GetDirectoryName(treasure)!;
        // Known to the agent by a link's name.
        var link = Path.Join(node.Disk, "link");
        Directory.CreateSymbolicLink(link, buffer);
        node.ProtectedFolders = [link];
        var below = node.Mount("--bind", Directory.CreateDirectory(Path.Join(buffer, "commands")).FullName, Path.Join(node.Disk, "below"));
        var above = node.Mount("--bind", Path.Join(node.Disk, "disk"), Path.Join(node.Disk, "above"));
        var vital = node.Mount("--bind", "/etc/ssl", Path.Join(node.Disk, "a b"));
        foreach (var root in new[] { below, above, vital, buffer, Path.Join(node.Disk, "disk") })
        {
            node.AllowAll(root);
            var report = await node.RunAsync(Clean, dryRun: true);
            Assert.Equal(CommandOutcome.Refused, report.Outcome);
            Assert.Contains("under another name", report.Summary, StringComparison.Ordinal);
        }

        Assert.True(File.Exists(treasure));
        node.AllowAll(node.Root);
        Succeeded(await node.RunAsync(Clean));
    }

    [Fact]
    public async Task A_file_system_that_is_mounted_in_a_vital_folder_is_vital_under_its_other_names_unless_the_policy_names_them()
    {
        using var node = ActionDisk.Memory();
        var vital = node.Mount("-t", "tmpfs", "whistle-test", $"/run/whistle-vital-{Guid.NewGuid():n}");
        File.WriteAllText(Path.Join(vital, "treasure"), "gold");
        var below = Directory.CreateDirectory(Path.Join(vital, "below")).FullName;
        string[] roots =
        [
            node.Mount("--bind", vital, Path.Join(node.Disk, "other")), node.Mount("--bind", below, Path.Join(node.Disk, "deeper")),
            node.Mount("--bind", "/var/lib", Path.Join(node.Disk, "lib")),
        ];
        foreach (var root in roots)
        {
            node.AllowAll(root);
            var report = await node.RunAsync(Clean, dryRun: true);
            Assert.Equal((root, CommandOutcome.Refused), (root, report.Outcome));
            Assert.Contains("under another name", report.Summary, StringComparison.Ordinal);
        }

        node.AllowVital(roots[0]);
        Succeeded(await node.RunAsync(Clean, dryRun: true));
        // What is never cleaned is not opened by naming it.
        var etc = node.Mount("--bind", "/etc", Path.Join(node.Disk, "etc"));
        node.AllowVital(etc);
        Assert.Equal(CommandOutcome.Refused, (await node.RunAsync(Clean, dryRun: true)).Outcome);
        Assert.True(File.Exists(Path.Join(vital, "treasure")));
    }

    [Fact]
    public async Task What_the_file_system_will_not_delete_is_known_to_the_dry_run_and_named()
    {
        using var node = ActionDisk.Ext4();
        node.Write("root/waste");
        var immutable = node.Write("root/immutable");
        var appendOnly = node.Write("root/append-only");
        var locked = node.Write("root/locked/inside");
        var growing = node.Write("root/growing/inside");
        ActionDisk.Run("chattr", "+i", immutable, Path.GetDirectoryName(locked)!);
        ActionDisk.Run("chattr", "+a", appendOnly, Path.GetDirectoryName(growing)!);
        try
        {
            var said = await node.RunAsync(Clean, dryRun: true);
            var done = await node.RunAsync(Clean);
            foreach (var report in new[] { said, done })
            {
                Assert.Equal(1, Succeeded(report).GetProperty("files").GetInt64());
                Assert.Contains("4 files could not be deleted (Operation not permitted)", report.Summary, StringComparison.Ordinal);
            }

            Assert.All([immutable, appendOnly, locked, growing], path => Assert.True(File.Exists(path)));
            Assert.Equal(CommandOutcome.Failed, (await node.RunAsync(Clean)).Outcome);
        }
        finally
        {
            ActionDisk.Run("chattr", "-R", "-i", "-a", node.Root);
        }
    }

    [Fact]
    public async Task A_file_system_that_is_read_only_or_becomes_so_ends_the_run_with_that_reason()
    {
        using var node = ActionDisk.Ext4();
        for (var i = 0; i < 3; i++)
            node.Write($"root/waste{i}");
        var names = new List<string>();
        node.BetweenLookAndAct = name =>
        {
            names.Add(name);
            if (names.Count == 2)
                ActionDisk.Run("mount", "-o", "remount,ro", node.Disk);
        };
        var during = await node.RunAsync(Clean);
        Assert.Equal(CommandOutcome.Failed, during.Outcome);
        Assert.Contains("remounted read-only", during.Summary, StringComparison.Ordinal);
        Assert.Equal(2, names.Count);
        Assert.Equal(2, Directory.GetFiles(node.Root).Length);

        var before = await node.RunAsync(Clean, dryRun: true);
        Assert.Equal(CommandOutcome.Refused, before.Outcome);
        Assert.Contains("read-only", before.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_file_behind_a_loop_device_stays_though_no_process_has_it_open()
    {
        using var node = ActionDisk.Ext4();
        var image = node.Write("root/image");
        ActionDisk.Run("truncate", "-s", "8M", image);
        ActionDisk.Run("mkfs.ext4", "-q", "-F", image);
        node.Mount("-o", "loop", image, Path.Join(node.Disk, "inner"));
        var report = await node.RunAsync(Clean);
        Assert.Contains("1 open", report.Summary, StringComparison.Ordinal);
        Assert.True(File.Exists(image));
    }

    [Fact]
    public void The_mount_of_an_open_folder_is_known_to_older_kernels_too()
    {
        using var node = ActionDisk.Memory();
        foreach (var path in new[] { node.Root, "/", "/proc" })
        {
            Assert.Equal(0, Native.OpenFolder(path, out var folder));
            Assert.Equal(0, Native.Stat(folder, out var stat));
            Assert.Equal(stat.Mount, Native.MountOf(folder));
            Native.Close(folder);
        }
    }

    static JsonElement Succeeded(ActionReport report)
    {
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        return report.Output!.Value;
    }
}
