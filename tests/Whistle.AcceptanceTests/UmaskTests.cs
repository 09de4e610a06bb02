using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Programs;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class UmaskTests
{
    /// <summary>What kubeadm, apt or logrotate make on a node must not become root's alone because the agent's own files are.</summary>
    [Fact]
    public async Task A_program_of_the_node_makes_files_as_without_the_agent_and_the_agent_makes_its_own_for_itself()
    {
        Requirement.Root();
        var folder = Directory.CreateTempSubdirectory("whistle-umask").FullName;
        Umask.Close();
        var own = Path.Combine(folder, "own");
        await File.WriteAllTextAsync(own, "x", TestContext.Current.CancellationToken);
        // By another process, for a file that this one had open for writing may not run yet.
        Shell.Run($"printf '#!/bin/sh\\numask\\nprintf \"%%s|\" \"$@\"\\n' > '{folder}/source'; "
            + $"install -m 0755 '{folder}/source' '{folder}/probe'");
        string[] arguments = ["a b", "$(id)", "; id", "\"", "-c"];
        var ended = await NodeProgram.RunAsync(
            new ActionContext
            {
                DryRun = false,
                Guard = MutationGuard.Closed(TimeProvider.System),
                Time = TimeProvider.System,
                ProgramFolders = [folder, "/usr/bin", "/bin"],
            },
            "probe", arguments, TestContext.Current.CancellationToken);

        Assert.Equal("600", Shell.Mode(own));
        Assert.True(ended.Well, ended.Complaint("probe"));
        Assert.Equal(
            $"{Convert.ToString(Umask.Before!.Value, 8).PadLeft(4, '0')}\n{string.Concat(arguments.Select(a => a + "|"))}", ended.Output);
        Assert.NotEqual(0x3Fu, Umask.Before);
        Directory.Delete(folder, recursive: true);
    }
}
