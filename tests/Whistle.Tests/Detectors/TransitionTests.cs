using Whistle.Detectors.Signals;

using Xunit;

namespace Whistle.Tests.Detectors;

/// <summary>
/// Each line is the life of one signal at one evaluation a minute: what is seen, then what comes of it.
/// Seen: P present, a absent, U source unhealthy, G inputs ended (while the expression still yields), s the server is not running.
/// State: p pending, F firing, u unknown, C resolved as cleared, G resolved as gone, . no signal or no evaluation.
/// </summary>
public sealed class TransitionTests
{
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("a signal fires after its for", 3, 0, "PPPPP", "pppFF")]
    [InlineData("without a for it fires at once", 0, 0, "Pa", "FC")]
    [InlineData("a pending one that clears starts anew", 2, 0, "PPaPPP", "ppCppF")]
    [InlineData("a firing one is kept for keep_firing_for", 0, 2, "PaaPaaa", "FFFFFFC")]
    [InlineData("unknown stops the for clock", 3, 0, "PPUUUUPPP", "ppuuuupFF")]
    [InlineData("unknown does not resolve what fires", 0, 0, "PUUUa", "FuuuC")]
    [InlineData("unknown stops the keep_firing_for clock", 0, 2, "PaUUUaaa", "FFuuuFC.")]
    [InlineData("an unhealthy source opens nothing", 0, 0, "UUUP", "...F")]
    [InlineData("what ends while it is forecast is gone", 0, 0, "PG", "FG")]
    [InlineData("what is gone is kept for keep_firing_for too", 0, 2, "PGGG", "FFFG")]
    [InlineData("keep_firing_for counts from the first that was not seen", 0, 2, "PaGG", "FFFG")]
    [InlineData("a pending one that is gone is not kept", 2, 5, "PG", "pG")]
    [InlineData("gone opens nothing", 0, 0, "GG", "..")]
    [InlineData("gone waits for a healthy source", 0, 0, "PUUG", "FuuG")]
    [InlineData("a stop of the server stops the for clock", 3, 0, "PPsssssPPP", "pp.....pFF")]
    [InlineData("one missed evaluation is no stop", 3, 0, "PPsP", "pp.F")]
    [InlineData("a stop that ends unknown is unknown from its start", 4, 0, "PPssssUUPPP", "pp....uuppF")]
    [InlineData("unknown goes on through a stop", 3, 0, "PPUsssUPP", "ppu...upF")]
    public void A_signal_lives_by_its_table(string what, int forMinutes, int keepMinutes, string seen, string states)
    {
        var timings = new SignalTimings(TimeSpan.FromMinutes(forMinutes), TimeSpan.FromMinutes(keepMinutes), TimeSpan.FromMinutes(1));
        Condition? condition = null;
        var lived = "";
        for (var minute = 0; minute < seen.Length; minute++)
        {
            if (seen[minute] == 's')
            {
                lived += '.';
                continue;
            }

            condition = Transition.Next(condition, Seen(seen[minute]), timings, Start.AddMinutes(minute));
            lived += Letter(condition);
            if (condition?.State is SignalState.Resolved)
                condition = null;
        }

        Assert.True(states == lived, $"{what}: {states} was expected, it was {lived}");
    }

    [Fact]
    public void The_fingerprint_is_the_same_in_every_process() => Assert.Equal(
        "b366871a409e6d33",
        Signal.FingerprintOf("A", Whistle.Telemetry.Labels.Of(("node", "n1"))).ToString("x16"));

    static Observation Seen(char letter) => letter switch
    {
        'P' => new(true, true, false),
        'a' => new(false, true, false),
        'U' => new(true, false, false),
        'G' => new(true, true, true),
        _ => throw new ArgumentException($"Unknown letter {letter}."),
    };

    static char Letter(Condition? condition) => condition switch
    {
        null => '.',
        { State: SignalState.Pending } => 'p',
        { State: SignalState.Firing } => 'F',
        { State: SignalState.Unknown } => 'u',
        { Reason: SignalEnd.Gone } => 'G',
        _ => 'C',
    };
}
