using System.Diagnostics;

using Npgsql;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// A PostgreSQL of the test's own, on a socket in a folder of its own. It is begun where a test first asks for a database.
/// </summary>
public sealed class PostgreSqlServer : IAsyncDisposable
{
    readonly SemaphoreSlim _starting = new(1, 1);
    DirectoryInfo? _folder;
    Process? _process;
    int _databases;

    /// <summary>The connection string of an empty database. Skips the test where the machine has no PostgreSQL.</summary>
    public async Task<string> NewDatabaseAsync(CancellationToken cancellation)
    {
        var binaries = Requirement.PostgreSql();
        await _starting.WaitAsync(cancellation);
        try
        {
            if (_process is null)
                await StartAsync(binaries, cancellation);
        }
        finally
        {
            _starting.Release();
        }

        var name = $"whistle{Interlocked.Increment(ref _databases)}";
        await using var source = NpgsqlDataSource.Create(ConnectionString("postgres"));
        await using var command = source.CreateCommand($"CREATE DATABASE {name}");
        await command.ExecuteNonQueryAsync(cancellation);
        return ConnectionString(name);
    }

    public async ValueTask DisposeAsync()
    {
        _starting.Dispose();
        if (_process is not null)
        {
            // At once, and without leaving its shared memory behind as SIGKILL would.
            await RunAsync("kill", ["-QUIT", $"{_process.Id}"], CancellationToken.None);
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        _folder?.Delete(recursive: true);
    }

    async Task StartAsync(string binaries, CancellationToken cancellation)
    {
        _folder = Directory.CreateTempSubdirectory("whistle-pg");
        if (IsRoot)
            await RunAsync("chown", ["nobody", _folder.FullName], cancellation);
        var data = Path.Combine(_folder.FullName, "data");
        var (initdb, initialize) = Unprivileged(
            Path.Combine(binaries, "initdb"), ["-D", data, "-U", "whistle", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        await RunAsync(initdb, initialize, cancellation);
        var (postgres, serve) = Unprivileged(
            Path.Combine(binaries, "postgres"),
            [
                "-D", data, "-c", "listen_addresses=", "-c", $"unix_socket_directories={_folder.FullName}", "-c", "fsync=off", "-c",
                "max_connections=200",
            ]);
        _process = ChildProcess.Start(postgres, serve);
        await _process.UntilAsync(AnswersAsync, cancellation);
    }

    async Task<bool> AnswersAsync(CancellationToken cancellation)
    {
        try
        {
            await using var connection = new NpgsqlConnection(ConnectionString("postgres"));
            await connection.OpenAsync(cancellation);
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    string ConnectionString(string database) =>
        new NpgsqlConnectionStringBuilder
        { Host = _folder!.FullName, Username = "whistle", Database = database, Pooling = database != "postgres" }.ToString();

    static bool IsRoot => Environment.UserName == "root";

    // It refuses to run as root. What runs has the id of the process that was started.
    static (string Program, string[] Arguments) Unprivileged(string program, string[] arguments) =>
        IsRoot ? ("setpriv", ["--reuid=nobody", "--regid=nogroup", "--clear-groups", program, .. arguments]) : (program, arguments);

    static async Task RunAsync(string program, string[] arguments, CancellationToken cancellation)
    {
        using var process = ChildProcess.Start(program, arguments);
        await process.WaitForExitAsync(cancellation);
        Assert.True(process.ExitCode == 0, $"{program} ended with {process.ExitCode}; see the output.");
    }
}
