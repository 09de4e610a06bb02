using Microsoft.Extensions.Time.Testing;

namespace Whistle.AcceptanceTests;

static class Clocks
{
    /// <summary>Moves the clock a tenth of a second at a time until the work is done that waits on it.</summary>
    public static async Task<T> UntilAsync<T>(this FakeTimeProvider time, Task<T> work)
    {
        while (await Task.WhenAny(work, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System)) != work)
            time.Advance(TimeSpan.FromMilliseconds(100));
        return await work;
    }
}
