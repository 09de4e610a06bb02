using Whistle.State;

using Xunit;

namespace Whistle.Tests.State;

public sealed class BackgroundThreadTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Its_work_gives_way_and_no_other_thread_does()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux has a niceness of each thread.");
        var before = Niceness();

        var (within, pooled) = await BackgroundThread.Run(() => (Niceness(), Thread.CurrentThread.IsThreadPoolThread), Cancellation);

        Assert.Equal((Math.Min(19, before + 10), false), (within, pooled));
        Assert.Equal(before, Niceness());
        // As under a server, where no context leads back to the thread that awaited.
        var after = await Task.Run(
            async () =>
            {
                await BackgroundThread.Run(Niceness, Cancellation);
                var here = Niceness();
                var made = 0;
                var thread = new Thread(() => made = Niceness());
                thread.Start();
                thread.Join();
                return (here, made);
            },
            Cancellation);
        Assert.Equal((before, before), after);
    }

    [Fact]
    public async Task What_its_work_throws_is_thrown() =>
        await Assert.ThrowsAsync<InvalidDataException>(
            () => BackgroundThread.Run<int>(() => throw new InvalidDataException(), Cancellation));

    // The 19th field of stat(5), counted after the name in brackets.
    static int Niceness() => int.Parse(
        File.ReadAllText("/proc/thread-self/stat").Split(')')[^1].Split(' ')[17], System.Globalization.CultureInfo.InvariantCulture);
}
