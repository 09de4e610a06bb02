using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Processes that a test starts. They end with it, by their own id; what they print is shown where the test fails.</summary>
static class ChildProcess
{
    /// <summary>Starts a project's program from its own output folder: only that has all it needs.</summary>
    public static Process StartProject(
        string project, string assembly, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null) =>
        Start("dotnet", [PathOf(project, assembly), .. arguments], environment);

    /// <summary>An assembly that was built with the tests.</summary>
    public static string PathOf(string project, string assembly)
    {
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        return Path.Combine(here.Parent!.Parent!.FullName, project, here.Name, assembly);
    }

    public static Process Start(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        var process = Process.Start(start)!;
        var output = TestContext.Current.TestOutputHelper;
        process.OutputDataReceived += (_, line) => Write(output, line.Data);
        process.ErrorDataReceived += (_, line) => Write(output, line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    /// <summary>Asks until the answer is yes; the end of the process ends the wait with an error.</summary>
    public static async Task UntilAsync(this Process process, Func<CancellationToken, Task<bool>> ready, CancellationToken cancellation)
    {
        // The poll is of another process's real progress, so it is on the real clock.
        while (!await ready(cancellation))
        {
            if (process.HasExited)
                Assert.Fail($"{process.StartInfo.FileName} ended with {process.ExitCode} before it was ready; see the output.");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellation);
        }
    }

    /// <summary>Waits until the address answers with success.</summary>
    public static Task UntilAnswersAsync(this Process process, HttpClient http, string address, CancellationToken cancellation) =>
        process.UntilAsync(async c =>
        {
            try
            {
                using var answer = await http.GetAsync(new Uri(address, UriKind.Relative), c);
                return answer.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                // Not listening yet.
                return false;
            }
        }, cancellation);

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public static async Task KillAndWaitAsync(this Process process)
    {
        process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    static void Write(ITestOutputHelper? output, string? line)
    {
        try
        {
            if (line is not null)
                output?.WriteLine(line);
        }
        catch (InvalidOperationException)
        {
            // The test is over.
        }
    }
}
