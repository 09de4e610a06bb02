using System.Diagnostics;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What a test run that died has mounted does not stay: the next one takes it away, and nothing else.</summary>
public sealed class LeftMountTests : IDisposable
{
    readonly string _parent = Directory.CreateTempSubdirectory("whistle-left").FullName;

    public void Dispose() => Shell.Run($"rm -rf --one-file-system '{_parent}'");

    [Fact]
    public void What_a_dead_process_has_mounted_is_unmounted_and_deleted_with_its_loop_device_and_nothing_behind_a_mount()
    {
        Requirement.LoopDevice();
        var treasure = Path.Combine(Directory.CreateDirectory(Path.Combine(_parent, "else")).FullName, "treasure");
        File.WriteAllText(treasure, "gold");
        var outside = Path.Combine(_parent, "outside");
        var left = Left(Dead());
        Shell.Run($"truncate -s 8M '{left}/image' && mkfs.ext4 -q -F '{left}/image' && mkdir '{left}/mnt' '{outside}'");
        File.AppendAllText(LeftMounts.OwnerOf(left), $"{left}/mnt\n{outside}\n");
        Shell.Run($"mount -o loop '{left}/image' '{left}/mnt' && mkdir '{left}/mnt/bound'");
        Shell.Run($"mount --bind '{Path.GetDirectoryName(treasure)}' '{left}/mnt/bound' && mount -t tmpfs whistle-test '{outside}'");
        Assert.Contains(left, Shell.Run("losetup --all"), StringComparison.Ordinal);

        LeftMounts.CleanUp(_parent);

        Assert.DoesNotContain(_parent, File.ReadAllText("/proc/self/mounts"), StringComparison.Ordinal);
        Assert.DoesNotContain(left, Shell.Run("losetup --all"), StringComparison.Ordinal);
        Assert.False(Directory.Exists(left) || Directory.Exists(outside));
        Assert.Equal("gold", File.ReadAllText(treasure));
    }

    [Fact]
    public void What_a_running_process_has_mounted_stays_and_a_later_process_of_its_number_is_another()
    {
        Requirement.Root();
        var (own, earlier) = (Left(ProcessIdentity.Own), Left(ProcessIdentity.Own with { Start = ProcessIdentity.Own.Start - 1 }));

        LeftMounts.CleanUp(_parent);

        Assert.True(Directory.Exists(own));
        Assert.False(Directory.Exists(earlier));
    }

    [Fact]
    public void A_folder_that_does_not_say_whose_it_is_stays_for_a_day()
    {
        Requirement.Root();
        var (fresh, old) = (Left(null), Left(null));
        Directory.SetLastWriteTimeUtc(old, TimeProvider.System.GetUtcNow().UtcDateTime.AddHours(-25));

        LeftMounts.CleanUp(_parent);

        Assert.True(Directory.Exists(fresh));
        Assert.False(Directory.Exists(old));
    }

    string Left(ProcessIdentity? owner)
    {
        var folder = Directory.CreateDirectory(Path.Combine(_parent, $"{LeftMounts.Prefix}-{Guid.NewGuid():n}")).FullName;
        if (owner is not null)
            File.WriteAllText(LeftMounts.OwnerOf(folder), $"{owner}\n");
        return folder;
    }

    static ProcessIdentity Dead()
    {
        using var process = Process.Start("sleep", "1000");
        var identity = ProcessIdentity.Of(process.Id)!.Value;
        Assert.True(identity.Lives);
        process.Kill();
        process.WaitForExit();
        Assert.False(identity.Lives);
        return identity;
    }
}
