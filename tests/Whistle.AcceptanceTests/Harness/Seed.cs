using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Randomness with a printed seed; <c>WHISTLE_TEST_SEED</c> gives one again.</summary>
static class Seed
{
    public static Random New()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("WHISTLE_TEST_SEED"), out var given) ? given : Environment.TickCount;
        TestContext.Current.TestOutputHelper?.WriteLine($"WHISTLE_TEST_SEED={seed}");
        return new Random(seed);
    }
}
