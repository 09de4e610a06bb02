using System.Diagnostics;
using System.Net.Sockets;

namespace Whistle.AcceptanceTests;

/// <summary>Debian's aiosmtpd as a process. It prints the messages it takes; here they are as lists of lines.</summary>
sealed class SmtpServer : IAsyncDisposable
{
    const string First = "---------- MESSAGE FOLLOWS ----------";
    const string Last = "------------ END MESSAGE ------------";

    readonly Process _process;
    readonly Lock _lock = new();
    readonly List<IReadOnlyList<string>> _messages = [];
    List<string>? _message;

    SmtpServer(Process process, int port)
    {
        _process = process;
        Port = port;
        process.OutputDataReceived += (_, line) => Take(line.Data);
    }

    public int Port { get; }

    public IReadOnlyList<IReadOnlyList<string>> Messages
    {
        get
        {
            lock (_lock)
                return [.. _messages];
        }
    }

    /// <param name="largest">Larger messages are refused with 552.</param>
    public static async Task<SmtpServer> StartAsync(CancellationToken cancellation, int largest = 1 << 20)
    {
        var port = ChildProcess.FreePort();
        var process = ChildProcess.Start(
            Requirement.AiosmtpdPython(), ["-u", "-m", "aiosmtpd", "-n", "-s", $"{largest}", "-l", $"127.0.0.1:{port}", "-c", "aiosmtpd.handlers.Debugging", "stdout"]);
        var server = new SmtpServer(process, port);
        await process.UntilAsync(c => ListensAsync(port, c), cancellation);
        return server;
    }

    /// <summary>What it has taken, once it is so many.</summary>
    public async Task<IReadOnlyList<IReadOnlyList<string>>> MessagesAsync(int count, CancellationToken cancellation)
    {
        await _process.UntilAsync(_ => Task.FromResult(Messages.Count >= count), cancellation);
        return Messages;
    }

    public async ValueTask DisposeAsync() => await _process.KillAndWaitAsync();

    void Take(string? line)
    {
        lock (_lock)
        {
            if (line == First)
                _message = [];
            else if (line == Last && _message is not null)
                _messages.Add(_message);
            else if (line is not null)
                _message?.Add(line);
        }
    }

    static async Task<bool> ListensAsync(int port, CancellationToken cancellation)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync("127.0.0.1", port, cancellation);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
