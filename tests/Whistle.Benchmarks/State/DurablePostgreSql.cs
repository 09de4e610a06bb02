using System.Diagnostics;

using Npgsql;

namespace Whistle.Benchmarks.State;

/// <summary>A PostgreSQL in a folder of its own, on a socket there, that flushes its commits.</summary>
sealed class DurablePostgreSql : IAsyncDisposable
{
    readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("whistle-pg");
    Process? _process;
    int _databases;

    /// <param name="flush">What each commit waits besides, as for a slower disk or a replica; microseconds.</param>
    public static async Task<DurablePostgreSql> StartAsync(string binaries, int flush)
    {
        var server = new DurablePostgreSql();
        var folder = server._folder.FullName;
        if (IsRoot)
            await Run("chown", ["nobody", folder]).WaitForExitAsync();
        var data = Path.Combine(folder, "data");
        await Unprivileged(
            Path.Combine(binaries, "initdb"),
            ["-D", data, "-U", "whistle", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]).WaitForExitAsync();
        server._process = Unprivileged(
            Path.Combine(binaries, "postgres"),
            [
                "-D", data, "-c", "listen_addresses=", "-c", $"unix_socket_directories={folder}", "-c", $"commit_delay={flush}", "-c",
                "commit_siblings=0",
            ]);
        while (!await server.AnswersAsync())
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System);
        return server;
    }

    public async Task<string> NewDatabaseAsync()
    {
        var name = $"whistle{++_databases}";
        await using var source = NpgsqlDataSource.Create(ConnectionString("postgres"));
        await using var command = source.CreateCommand($"CREATE DATABASE {name}");
        await command.ExecuteNonQueryAsync();
        return ConnectionString(name);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await Run("kill", ["-QUIT", $"{_process.Id}"]).WaitForExitAsync();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        _folder.Delete(recursive: true);
    }

    static bool IsRoot => Environment.UserName == "root";

    string ConnectionString(string database) => $"Host={_folder.FullName};Username=whistle;Database={database}";

    async Task<bool> AnswersAsync()
    {
        try
        {
            await using var connection = new NpgsqlConnection(ConnectionString("postgres"));
            await connection.OpenAsync();
            return true;
        }
        catch (NpgsqlException)
        {
            return false;
        }
    }

    // PostgreSQL does not run as root. Its own words are of no interest here.
    static Process Unprivileged(string program, IReadOnlyList<string> arguments) => IsRoot
        ? Run("setpriv", ["--reuid=nobody", "--regid=nogroup", "--clear-groups", program, .. arguments])
        : Run(program, arguments);

    static Process Run(string program, IReadOnlyList<string> arguments)
    {
        var process = Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }
}
