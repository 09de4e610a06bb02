using System.Text;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The programs as somebody runs them who waits for their end.</summary>
static class Programs
{
    public static Task<(int Exit, string Output, string Error)> WhistleAsync(params string[] arguments) =>
        RunAsync("Whistle", "whistle.dll", arguments);

    public static Task<(int Exit, string Output, string Error)> AgentAsync(params string[] arguments) =>
        RunAsync("Whistle.Agent", "whistle-agent.dll", arguments);

    static async Task<(int Exit, string Output, string Error)> RunAsync(string project, string assembly, string[] arguments)
    {
        using var process = ChildProcess.StartProject(project, assembly, arguments);
        var (output, error) = (new StringBuilder(), new StringBuilder());
        process.OutputDataReceived += (_, line) => output.Append(line.Data).Append(line.Data is null ? "" : "\n");
        process.ErrorDataReceived += (_, line) => error.Append(line.Data).Append(line.Data is null ? "" : "\n");
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output.ToString(), error.ToString());
    }
}
