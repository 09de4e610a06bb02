namespace Whistle;

/// <summary>What a process does of the whole: all of it, unless several share the work.</summary>
[Flags]
enum ServerRoles
{
    None = 0,

    /// <summary>Takes what agents and collectors send, and gives agents their commands.</summary>
    Gateway = 1,

    /// <summary>Reads the log into the store, and evaluates rules.</summary>
    Detect = 2,

    /// <summary>Makes incidents of signals, and drives runs.</summary>
    Remediate = 4,

    /// <summary>Decides on pages and mails, and sends them.</summary>
    Alert = 8,

    /// <summary>Serves the dashboard and the API.</summary>
    Web = 16,

    All = Gateway | Detect | Remediate | Alert | Web,
}
