using System.Runtime.InteropServices;

namespace Whistle.AcceptanceTests.Killing;

/// <summary>How a process ends itself as <c>kill -9</c> would: nothing of it runs any more, not even what it would do at its end.</summary>
static partial class Death
{
    const int SigKill = 9;

    public static IReadOnlyDictionary<string, string> Hook { get; } =
        new Dictionary<string, string> { ["DOTNET_STARTUP_HOOKS"] = typeof(Death).Assembly.Location };

    public static void Now() => _ = Kill(Environment.ProcessId, SigKill);

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
