namespace Whistle.Detectors.Signals;

/// <summary>What is wrong now, whichever processes find it out.</summary>
public interface ISignals
{
    /// <summary>All active signals, with what inhibits them: the same version until something changes.</summary>
    SignalList Signals { get; }

    /// <summary><see cref="Signals"/>, once they are known; null before.</summary>
    SignalList? ActiveSignals { get; }

    /// <summary>Signals that ended since then, of the last 24 hours, the latest first.</summary>
    Task<IReadOnlyList<Signal>> EndedSignalsAsync(DateTimeOffset since, CancellationToken cancellation);
}
