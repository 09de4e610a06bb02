using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Randomness with a printed seed; <c>WHISTLE_TEST_SEED</c> gives one again.</summary>
static class Seed
{
    public static Random New() => new(Number(Environment.TickCount));

    /// <param name="usual">Where none is given.</param>
    public static int Number(int usual)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("WHISTLE_TEST_SEED"), out var given) ? given : usual;
        TestContext.Current.TestOutputHelper?.WriteLine($"WHISTLE_TEST_SEED={seed}");
        return seed;
    }
}
