using System.Collections;
using System.Runtime.CompilerServices;

namespace Whistle.Detectors.Signals;

/// <summary>Which signals a list holds. Equal versions hold equal signals, in whatever process they are compared.</summary>
/// <param name="Source">Drawn by the process that numbers, so that one started again never repeats a version.</param>
/// <param name="Number">Another with every evaluation.</param>
public readonly record struct SignalVersion(Guid Source, long Number);

/// <summary>
/// All active signals at one moment. Readers keep what they make of a list by its <see cref="Version"/>, so a copy of it, as another
/// process would have, is as good as the list itself.
/// </summary>
[CollectionBuilder(typeof(SignalList), nameof(Create))]
public sealed class SignalList(SignalVersion version, IReadOnlyList<Signal> signals) : IReadOnlyList<Signal>
{
    public SignalVersion Version => version;

    public int Count => signals.Count;

    public Signal this[int index] => signals[index];

    /// <summary>A list with a version of its own, which equals no other.</summary>
    public static SignalList Create(ReadOnlySpan<Signal> signals) => new(new(Guid.NewGuid(), 0), signals.ToArray());

    public IEnumerator<Signal> GetEnumerator() => signals.GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
