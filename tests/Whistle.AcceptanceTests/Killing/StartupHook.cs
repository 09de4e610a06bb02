using Whistle.AcceptanceTests.Killing;

/// <summary>
/// The runtime calls it before the program's Main, in a process that a test starts with this assembly as DOTNET_STARTUP_HOOKS. Nothing of
/// the test framework may be used here.
/// </summary>
static class StartupHook
{
    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(CommitDeath.Variable) is { Length: > 0 } notes)
            CommitDeath.Install(notes);
        if (Environment.GetEnvironmentVariable(MortalAgent.Home) is { Length: > 0 } home)
            MortalAgent.Run(home);
    }
}
