namespace Whistle.Inventory.People;

/// <summary>What a log-in takes, how much may go wrong before nobody may try any more, and how many passwords are hashed.</summary>
public sealed record LogInOptions
{
    /// <summary>Whether everybody who logs in here needs an authenticator app or a passkey.</summary>
    public bool RequireSecondFactor { get; init; }

    /// <summary>Wrong passwords and codes of one person in a row; the last of them locks the account.</summary>
    public int WrongBeforeLock { get; init; } = 10;

    public TimeSpan LockedFor { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>Log-ins from one address that may fail within <see cref="FailureWindow"/>.</summary>
    public int FailuresFromAddress { get; init; } = 30;

    public TimeSpan FailureWindow { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Passwords that are hashed at once.</summary>
    public int HashesAtOnce { get; init; } = 2;

    /// <summary>Those that wait for their turn.</summary>
    public int HashesWaiting { get; init; } = 16;

    /// <summary>Real time, as browsers and phones count, whatever clock the server runs on; another in tests of log-ins.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;
}
