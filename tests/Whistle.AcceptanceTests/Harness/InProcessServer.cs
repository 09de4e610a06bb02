using System.Net.Http.Headers;

using Whistle.Ingest.Logs;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The server in this process, on a folder and a port of its own.</summary>
sealed class InProcessServer : IAsyncDisposable
{
    readonly WhistleApp _app;
    readonly bool _ownsFolder;

    InProcessServer(WhistleApp app, string folder, bool ownsFolder) => (_app, Folder, _ownsFolder) = (app, folder, ownsFolder);

    public string Folder { get; }

    public WhistleApp App => _app;

    public HttpClient Http { get; } = new();

    public static async Task<InProcessServer> StartAsync(
        CancellationToken cancellation, string? folder = null, Func<WhistleOptions, WhistleOptions>? change = null)
    {
        var options = new WhistleOptions
        {
            DataFolder = folder ?? Directory.CreateTempSubdirectory("whistle").FullName,
            Listen = [new("http://127.0.0.1:0")],
            Agent = false,
            Log = new TelemetryLogOptions { GroupCommit = TimeSpan.Zero },
        };
        options = change?.Invoke(options) ?? options;
        var server = new InProcessServer(await WhistleApp.OpenAsync(options, cancellation), options.DataFolder, folder is null);
        await server._app.StartAsync(cancellation);
        server.Http.BaseAddress = server._app.Address;
        server.Http.DefaultRequestHeaders.Authorization =
            new AuthenticationHeaderValue(
                "Bearer", (await File.ReadAllTextAsync(Path.Combine(server.Folder, "token"), cancellation)).Trim());
        return server;
    }

    public async Task<RemoteWriteClient> SenderAsync(string tenant = "default", string cluster = "c1", string? node = "n1") =>
        new(_app.Address, await _app.Credentials.EnrollAsync(new(tenant, cluster), node, TestContext.Current.CancellationToken));

    /// <summary>The value of one of the server's own metrics; 0 where it has not been counted yet.</summary>
    public async Task<double> MetricAsync(string series, CancellationToken cancellation)
    {
        var text = await Http.GetStringAsync("metrics", cancellation);
        var line = text.Split('\n').FirstOrDefault(l => l.StartsWith(series + " ", StringComparison.Ordinal));
        return line is null ? 0 : double.Parse(line[(series.Length + 1)..]);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Http.Dispose();
        if (_ownsFolder)
            Directory.Delete(Folder, recursive: true);
    }
}
