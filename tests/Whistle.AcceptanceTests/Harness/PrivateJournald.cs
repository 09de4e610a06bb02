using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// A real journald with mounts of its own: what it sees as <c>/var/log/journal</c> and <c>/run</c> are folders of the test, so it neither
/// touches nor needs the machine's journal.
/// </summary>
sealed class PrivateJournald : IAsyncDisposable
{
    public const string MachineId = "0123456789abcdef0123456789abcdef";

    // No limit of its own may delete anything, and no line may be lost.
    const string Configuration =
        """
        [Journal]
        Storage=persistent
        SplitMode=uid
        ReadKMsg=no
        Audit=no
        RateLimitIntervalSec=0
        SystemMaxUse=1G
        SystemKeepFree=1M
        SystemMaxFileSize=8M
        """;

    // As in a journal file's header.
    const int Online = 1;
    const int ArchivedState = 2;

    readonly string _base = Directory.CreateTempSubdirectory("whistle-journal").FullName;
    readonly string _program;
    Process? _process;

    PrivateJournald(string program)
    {
        _program = program;
        Directory.CreateDirectory(Persistent);
        Directory.CreateDirectory(Path.Join(_base, "run/log/journal"));
        Directory.CreateDirectory(Path.Join(_base, "run/systemd/journal"));
        Directory.CreateDirectory(Path.Join(_base, "run/systemd/journald.conf.d"));
        File.WriteAllText(MachineIdFile, MachineId + "\n");
        File.WriteAllText(Path.Join(_base, "run/systemd/journald.conf.d/test.conf"), Configuration);
        // Tells it that the disk is there to be written to.
        File.WriteAllText(Path.Join(_base, "run/systemd/journal/flushed"), "");
    }

    /// <summary>What it has as <c>/var/log/journal</c>.</summary>
    public string Persistent => Path.Join(_base, "var");

    /// <summary>What it has as <c>/run/log/journal</c>.</summary>
    public string Volatile => Path.Join(_base, "run/log/journal");

    public string Folder => Path.Join(Persistent, MachineId);

    public string MachineIdFile => Path.Join(_base, "machine-id");

    public IEnumerable<string> Files => Directory.EnumerateFiles(Folder).Order(StringComparer.Ordinal);

    public IEnumerable<string> Archived => Files.Where(f => f.Contains('@', StringComparison.Ordinal));

    public static async Task<PrivateJournald> StartAsync(CancellationToken cancellation)
    {
        var journald = new PrivateJournald(Requirement.Journald());
        await journald.RestartAsync(cancellation);
        return journald;
    }

    public async Task RestartAsync(CancellationToken cancellation)
    {
        File.Delete(Path.Join(_base, "run/systemd/journal/socket"));
        // Each program becomes the next one, so the id stays the process's.
        var script = $"""
            set -e
            umask 022
            chmod -R a+rX {_base}/run {Persistent} {MachineIdFile}
            mount --make-rprivate /
            mount --bind {MachineIdFile} /etc/machine-id
            mount -t tmpfs whistle-test /var/log
            mkdir /var/log/journal
            mount --bind {Persistent} /var/log/journal
            mount --bind {_base}/run /run
            exec {_program}
            """;
        _process = ChildProcess.Start("/usr/bin/unshare", ["--mount", "--", "/bin/sh", "-c", script]);
        await _process.UntilAsync(_ => Task.FromResult(Answers()), cancellation);
        await JournalctlAsync("--sync");
    }

    /// <summary>In a text that compresses badly.</summary>
    public void Log(string text, int lines, Random random)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(Path.Join(_base, "run/systemd/journal/socket")));
        var noise = new byte[100];
        for (var i = 0; i < lines; i++)
        {
            random.NextBytes(noise);
            socket.Send(Encoding.UTF8.GetBytes($"MESSAGE={text} {i} {Convert.ToHexString(noise)}\nPRIORITY=6\n"));
        }
    }

    /// <summary>One entry with fields of its own, such as <c>UNIT=kubelet.service</c>, from the process that runs the test.</summary>
    public void LogFields(params string[] fields)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(Path.Join(_base, "run/systemd/journal/socket")));
        socket.Send(Encoding.UTF8.GetBytes(string.Join('\n', fields) + "\n"));
    }

    /// <summary>A line that goes to that user's own journal file.</summary>
    public Task LogAsUserAsync(string text) => RunAsync("setpriv", "--reuid=1000", "--clear-groups", "systemd-cat", "echo", text);

    /// <summary>Archives the active files.</summary>
    public async Task RotateAsync(CancellationToken cancellation)
    {
        await JournalctlAsync("--sync");
        await JournalctlAsync("--rotate");
        // It marks them when they are on the disk.
        await _process!.UntilAsync(_ => Task.FromResult(Archived.All(f => f.EndsWith('~') || State(f) == ArchivedState)), cancellation);
    }

    /// <summary>Runs the real journalctl where journald is; what it printed.</summary>
    public Task<string> JournalctlAsync(params string[] arguments) => RunAsync(["journalctl", .. arguments]);

    /// <summary>Microseconds since 1970 of a file's first and last entry, as journalctl reads them.</summary>
    public async Task<(long First, long Last)> EntriesAsync(string file)
    {
        var printed = await JournalctlAsync("--file", file, "-o", "json", "--output-fields=MESSAGE");
        var times = printed.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => System.Text.Json.JsonDocument.Parse(l))
            .Select(j => long.Parse(j.RootElement.GetProperty("__REALTIME_TIMESTAMP").GetString()!)).ToList();
        return (times[0], times[^1]);
    }

    /// <summary>SIGKILL while its active file is marked as being written.</summary>
    public async Task KillWhileItWritesAsync(CancellationToken cancellation)
    {
        Log("the last", 1, new Random(1));
        await _process!.UntilAsync(_ => Task.FromResult(State(Path.Join(Folder, "system.journal")) == Online), cancellation);
        await KillAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        Directory.Delete(_base, recursive: true);
    }

    // Connected is not answered, but the socket takes what is sent from here on.
    bool Answers()
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(Path.Join(_base, "run/systemd/journal/socket")));
            return File.Exists(Path.Join(_base, "run/systemd/journal/io.systemd.journal"));
        }
        catch (SocketException)
        {
            return false;
        }
    }

    async Task KillAsync()
    {
        if (_process is not null)
            await _process.KillAndWaitAsync();
        _process = null;
    }

    static int State(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        stream.Position = 16;
        return stream.ReadByte();
    }

    async Task<string> RunAsync(params string[] command)
    {
        var start = new ProcessStartInfo("/usr/bin/nsenter", ["-t", $"{_process!.Id}", "-m", .. command])
        { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.True(process.ExitCode == 0, $"{string.Join(' ', command)}: {await errors}");
        // journalctl tells on the other channel what it checked.
        return output + await errors;
    }
}
