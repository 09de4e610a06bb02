using Whistle.Actions.Protocol;

namespace Whistle.Actions.Contract;

/// <summary>
/// Stands before every mutation: asks for a permit, has the intent recorded before the first one, and asks again when the permit has run
/// out on the monotonic clock. Not thread-safe.
/// </summary>
/// <param name="begin">Asks whether the agent may mutate now.</param>
/// <param name="recordIntent">Makes the intent durable; answers why it could not, or null.</param>
public sealed class MutationGuard(
    TimeProvider time, Func<CancellationToken, ValueTask<BeginAnswer>> begin, Func<CancellationToken, ValueTask<string?>> recordIntent)
{
    // However long a server says: what it knew is stale after this.
    static readonly TimeSpan LongestPermit = TimeSpan.FromSeconds(10);
    const int Tries = 3;

    long _asked;
    TimeSpan _permit;

    /// <summary>A guard that permits nothing, for dry runs and for what only reads.</summary>
    public static MutationGuard Closed(TimeProvider time) =>
        new(
            time, _ => ValueTask.FromResult(new BeginAnswer(false, 0, "This run may not change anything.")),
            _ => ValueTask.FromResult<string?>(null));

    /// <summary>The intent is recorded; from here on something may have been changed.</summary>
    public bool Begun { get; private set; }

    /// <summary>Why the last answer was no.</summary>
    public string? Refusal { get; private set; }

    public bool IsOpen => Begun && time.GetElapsedTime(_asked) < _permit;

    /// <summary>True where the caller may mutate at once.</summary>
    public ValueTask<bool> MayMutateAsync(CancellationToken cancellation) =>
        IsOpen ? ValueTask.FromResult(true) : AskAsync(cancellation);

    async ValueTask<bool> AskAsync(CancellationToken cancellation)
    {
        // The answer, and the intent's way to the disk, may take longer than the permit lasts.
        for (var i = 0; i < Tries; i++)
        {
            if (!await AskOnceAsync(cancellation).ConfigureAwait(false))
                return false;
            if (IsOpen)
                return true;
        }

        Refusal = "Each permit had run out before it could be used. The way to the server, or the disk of the agent's buffer, is too slow.";
        return false;
    }

    async ValueTask<bool> AskOnceAsync(CancellationToken cancellation)
    {
        var asked = time.GetTimestamp();
        var answer = await begin(cancellation).ConfigureAwait(false);
        if (!answer.Granted)
        {
            Refusal = answer.Reason ?? "The server gave no permit and no reason.";
            return false;
        }

        (_asked, _permit) = (asked, TimeSpan.FromSeconds(Math.Min(answer.Seconds, LongestPermit.TotalSeconds)));
        if (Begun)
            return true;
        Refusal = await recordIntent(cancellation).ConfigureAwait(false);
        return Begun = Refusal is null;
    }
}
