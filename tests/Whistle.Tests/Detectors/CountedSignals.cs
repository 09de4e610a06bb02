using System.Collections;

using Whistle.Detectors.Signals;

namespace Whistle.Tests.Detectors;

/// <summary>Counts how often somebody reads the signals.</summary>
sealed class CountedSignals(IReadOnlyList<Signal> signals) : IReadOnlyList<Signal>
{
    public int Reads { get; private set; }

    public int Count => signals.Count;

    public Signal this[int index] => Read()[index];

    public IEnumerator<Signal> GetEnumerator() => Read().GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    IReadOnlyList<Signal> Read()
    {
        Reads++;
        return signals;
    }
}
