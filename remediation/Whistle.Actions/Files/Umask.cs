namespace Whistle.Actions.Files;

/// <summary>What this process makes is for its owner alone, whoever makes it: databases, telemetry, buffers, logs.</summary>
public static class Umask
{
    const uint OwnerOnly = 0x3F;

    static readonly Lock Gate = new();

    /// <summary>
    /// What the process was started with, for the programs of the node that the agent runs: a certificate that kubeadm writes is not for
    /// root alone. Null while nothing was closed.
    /// </summary>
    internal static uint? Before { get; private set; }

    /// <summary>To be called before anything is made; calling it again does nothing.</summary>
    public static void Close()
    {
        lock (Gate)
        {
            if (Before is null && !OperatingSystem.IsWindows())
                Before = Native.SetUmask(OwnerOnly);
        }
    }
}
