using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Agent.Buffering;
using Whistle.Agent.Settings;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The agent's buffer on a file system that is really full.</summary>
public sealed class FullBufferDiskTests
{
    [Fact]
    public void Reports_wait_in_memory_while_the_disk_is_full_and_all_arrive_in_order()
    {
        using var disk = MountFolder.Create();
        var folder = disk.Mount("-t", "tmpfs", "-o", "size=64k", "whistle-test", Path.Combine(disk.FullPath, "mnt"));
        using (var buffer = Open(folder))
        {
            for (byte i = 0; i < 100; i++)
                buffer.Append(Now(), 1, Report(i));
            Assert.Equal(100, buffer.Count);
            // The disk took what it could and no torn report.
            Assert.InRange(new FileInfo(Directory.GetFiles(folder, "*.reports").Single()).Length, 32 << 10, 64 << 10);
            for (byte i = 0; i < 70; i++)
                Assert.Equal(i, Take(buffer));

            // What fitted on the disk is sent, which makes room, so the next report takes those in memory to the disk with it.
            buffer.Append(Now(), 1, Report(100));
        }

        using var restarted = Open(folder);
        Assert.Equal(Enumerable.Range(70, 31), Enumerable.Range(70, 31).Select(_ => (int)Take(restarted)));
        Assert.Null(restarted.Peek());
    }

    static ReportBuffer Open(string folder) =>
        new(new BufferOptions { Folder = folder }, TimeProvider.System, NullLogger.Instance);

    static byte[] Report(byte number)
    {
        var report = new byte[1000];
        Array.Fill(report, number);
        return report;
    }

    static byte Take(ReportBuffer buffer)
    {
        var report = buffer.Peek()!;
        Assert.Equal(Report(report.Payload[0]), report.Payload);
        buffer.Remove(report);
        return report.Payload[0];
    }

    static long Now() => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();
}
