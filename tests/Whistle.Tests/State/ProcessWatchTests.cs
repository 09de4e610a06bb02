using Whistle.State.Health;

using Xunit;

namespace Whistle.Tests.State;

public sealed class ProcessWatchTests
{
    [Fact]
    public void They_are_counted_without_a_look_at_each_where_the_kernel_knows()
    {
        Assert.SkipUnless(
            OperatingSystem.IsLinux() && Environment.OSVersion.Version >= new Version(6, 2), "The kernel counts them since Linux 6.2.");
        Assert.InRange(ProcessWatch.CountedHandles(), 1, long.MaxValue);
    }

    [Fact]
    public void All_open_files_are_counted()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Open files are counted on Linux only.");
        const int more = 1000;
        // Other tests open and close files too, hundreds at most.
        const int others = 400;
        var before = Directory.GetFileSystemEntries("/proc/self/fd").Length;
        var files = Enumerable.Range(0, more).Select(_ => File.OpenHandle("/dev/null")).ToList();
        try
        {
            Assert.InRange(ProcessWatch.OpenHandles(), before + more - others, before + more + others);
        }
        finally
        {
            files.ForEach(f => f.Dispose());
        }
    }
}
