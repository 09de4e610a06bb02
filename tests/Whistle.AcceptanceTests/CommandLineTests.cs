using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class CommandLineTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-verbs").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Every_verb_that_looks_at_a_server_answers_on_a_new_one()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var server = new ServerProcess(_folder, "--no-agent");
        await server.StartAsync(cancellation);

        foreach (var verb in (string[][])[["alerts", "--all"], ["incidents"], ["runs", "list"], ["tickets"], ["query", "1+1"], ["login"]])
        {
            using var process = ChildProcess.StartProject("Whistle", "whistle.dll", [.. verb, "--server", server.Address.ToString(), "--data", _folder]);
            await process.WaitForExitAsync(cancellation);
            Assert.True(process.ExitCode == 0, $"whistle {string.Join(' ', verb)} ended with {process.ExitCode}");
        }
    }
}
