using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Agent;
using Whistle.Agent.Settings;

namespace Whistle.AcceptanceTests.Killing;

/// <summary>
/// The agent in a process of its own, that notes how far each command comes and dies where it is told to. Its folder holds <c>token</c>,
/// <c>policy.json</c>, <c>buffer</c> and the notes.
/// </summary>
static class MortalAgent
{
    public const string Home = "WHISTLE_TEST_AGENT_HOME";
    public const string Server = "WHISTLE_TEST_AGENT_SERVER";

    /// <summary>A <see cref="RunnerStep"/>, or <see cref="Deleting"/>; none for an agent that lives.</summary>
    public const string Dies = "WHISTLE_TEST_AGENT_DIES";

    /// <summary>A file system; once some of it is freed after an intent was written, the agent dies.</summary>
    public const string Disk = "WHISTLE_TEST_AGENT_DISK";

    public const string Deleting = "Deleting";

    public static AgentOptions Options(string home, Uri server, Action<RunnerStep, string> at) => new()
    {
        Server = server,
        TokenFile = Path.Combine(home, "token"),
        PolicyFile = Path.Combine(home, "policy.json"),
        // A restart of the server is shorter than two of these, so that its signals do not become unknown each time.
        Interval = TimeSpan.FromSeconds(8),
        // A server that dies again and again would be met too seldom.
        LongestWait = TimeSpan.FromSeconds(2),
        Buffer = new BufferOptions { Folder = Path.Combine(home, "buffer") },
        At = (step, command) =>
        {
            // In the kernel's hands when it returns, so that a death does not lose it.
            File.AppendAllText(NotesOf(home), $"{step} {command}\n");
            at(step, command);
        },
    };

    public static string NotesOf(string home) => Path.Combine(home, "notes");

    public static void Run(string home)
    {
        var dies = Environment.GetEnvironmentVariable(Dies);
        var written = "";
        var options = Options(home, new Uri(Environment.GetEnvironmentVariable(Server)!), (step, command) =>
        {
            if (step is RunnerStep.AfterIntent)
                written = command;
            if (step is RunnerStep.AfterIntent && dies == Deleting)
                DieWhenFreed(new DriveInfo(Environment.GetEnvironmentVariable(Disk)!));
            // Of the command that changes something: what only reads may be run again.
            if (step.ToString() == dies && (step is RunnerStep.BeforeIntent || command == written))
                Death.Now();
        });
        var sources = OwnMounts.SourcesOf(options, Environment.GetEnvironmentVariable(Disk)!, home);
        using var agent = new WhistleAgent(options, NullLogger.Instance, sources);
        agent.RunAsync(CancellationToken.None).GetAwaiter().GetResult();
    }

    static void DieWhenFreed(DriveInfo disk)
    {
        var before = disk.TotalFreeSpace;
        var watch = new Thread(() =>
        {
            while (disk.TotalFreeSpace <= before)
            {
            }

            Death.Now();
        });
        watch.Start();
    }
}
