using System.Diagnostics;
using System.Net.Sockets;

namespace Whistle.AcceptanceTests;

/// <summary>How the mail server answers the content of a message.</summary>
enum SmtpMood
{
    Well,

    /// <summary>451: not now.</summary>
    Later,

    /// <summary>Says nothing.</summary>
    Silent,
}

/// <summary>Debian's aiosmtpd as a process. It prints the messages it takes; here they are as lists of lines.</summary>
sealed class SmtpServer : IAsyncDisposable
{
    const string Handler = """
        import asyncio, os
        from aiosmtpd.handlers import Debugging

        class Moody(Debugging):
            async def handle_DATA(self, server, session, envelope):
                with open(os.environ["MOOD"]) as file:
                    mood = file.read().strip()
                if mood == "Later":
                    return "451 4.3.0 Try again later"
                if mood == "Silent":
                    await asyncio.sleep(3600)
                return await super().handle_DATA(server, session, envelope)
        """;

    const string First = "---------- MESSAGE FOLLOWS ----------";
    const string Last = "------------ END MESSAGE ------------";

    readonly Process _process;
    readonly DirectoryInfo _folder;
    readonly Lock _lock = new();
    readonly List<IReadOnlyList<string>> _messages = [];
    List<string>? _message;

    SmtpServer(Process process, DirectoryInfo folder, int port)
    {
        _process = process;
        _folder = folder;
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

    public SmtpMood Mood
    {
        set => File.WriteAllText(MoodFile(_folder), value.ToString());
    }

    /// <param name="largest">Larger messages are refused with 552.</param>
    /// <param name="port">A free one where none is given.</param>
    public static async Task<SmtpServer> StartAsync(CancellationToken cancellation, int largest = 1 << 20, int? port = null)
    {
        var listen = port ?? ChildProcess.FreePort();
        var python = Requirement.AiosmtpdPython();
        var folder = Directory.CreateTempSubdirectory("whistle-smtp");
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "moody.py"), Handler, cancellation);
        await File.WriteAllTextAsync(MoodFile(folder), nameof(SmtpMood.Well), cancellation);
        var process = ChildProcess.Start(
            python, ["-u", "-m", "aiosmtpd", "-n", "-s", $"{largest}", "-l", $"127.0.0.1:{listen}", "-c", "moody.Moody", "stdout"],
            new Dictionary<string, string> { ["PYTHONPATH"] = folder.FullName, ["MOOD"] = MoodFile(folder) });
        var server = new SmtpServer(process, folder, listen);
        await process.UntilAsync(c => ListensAsync(listen, c), cancellation);
        return server;
    }

    /// <summary>What it has taken, once it is so many.</summary>
    public async Task<IReadOnlyList<IReadOnlyList<string>>> MessagesAsync(int count, CancellationToken cancellation)
    {
        await _process.UntilAsync(_ => Task.FromResult(Messages.Count >= count), cancellation);
        return Messages;
    }

    public async ValueTask DisposeAsync()
    {
        await _process.KillAndWaitAsync();
        _folder.Delete(recursive: true);
    }

    static string MoodFile(DirectoryInfo folder) => Path.Combine(folder.FullName, "mood");

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
