namespace Whistle.Agent.Sending;

/// <summary>How the server, or the way to it, answered one report.</summary>
abstract record SendOutcome
{
    /// <summary>The server holds the report durably.</summary>
    public sealed record Accepted : SendOutcome;

    /// <summary>The same report may succeed later.</summary>
    /// <param name="Reason">What happened and how to fix it.</param>
    /// <param name="After">The wait that the server asked for.</param>
    public sealed record Retryable(string Reason, TimeSpan? After = null) : SendOutcome;

    /// <summary>The server will never take this report.</summary>
    public sealed record Final(string Reason) : SendOutcome;
}
