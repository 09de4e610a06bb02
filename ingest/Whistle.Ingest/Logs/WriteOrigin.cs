namespace Whistle.Ingest.Logs;

/// <summary>Whence a write comes, and so what becomes of it where the store takes nothing.</summary>
enum WriteOrigin
{
    /// <summary>A sender that waits for its answer and sends again: refused.</summary>
    Sender,

    /// <summary>
    /// The server itself, for what it records; its labels are taken as they are. Nobody sends it again: the head takes it.
    /// </summary>
    Server,

    /// <summary>A log that keeps it: the head takes it, and the store when the log is read again.</summary>
    Log,

    /// <summary>A log that is read again for the store alone: refused.</summary>
    Replay,
}
