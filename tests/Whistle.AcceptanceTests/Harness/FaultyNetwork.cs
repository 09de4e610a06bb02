using System.Collections.Concurrent;
using System.Net;
using System.Threading.Channels;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Stands between a sender and the server: delivers, refuses, or delivers and loses the answer. Keeps what was acknowledged.
/// </summary>
sealed class FaultyNetwork : IAsyncDisposable
{
    readonly WebApplication _app;
    readonly HttpClient _http = new();
    readonly Uri _server;
    readonly Random _random;
    readonly Channel<bool> _requests = Channel.CreateUnbounded<bool>();
    int _faults;

    FaultyNetwork(Uri server, int seed)
    {
        _server = server;
        _random = new Random(seed);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.MapPost("/api/v1/write", ForwardAsync);
    }

    public bool Faulty { get; set; }

    public int Faults => _faults;

    public ConcurrentQueue<byte[]> Acknowledged { get; } = new();

    public Uri Address => new(_app.Urls.First());

    /// <summary>Waits for so many more requests.</summary>
    public async Task RequestsAsync(int count, CancellationToken cancellation)
    {
        while (_requests.Reader.TryRead(out _))
        {
        }

        for (var i = 0; i < count; i++)
            await _requests.Reader.ReadAsync(cancellation);
    }

    public static async Task<FaultyNetwork> StartAsync(Uri server, int seed, CancellationToken cancellation)
    {
        var network = new FaultyNetwork(server, seed);
        await network._app.StartAsync(cancellation);
        return network;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _http.Dispose();
    }

    async Task ForwardAsync(HttpContext context)
    {
        _requests.Writer.TryWrite(true);
        var fault = Faulty ? NextFault() : 0;
        if (fault == 1)
        {
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            return;
        }

        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        using var request =
            new HttpRequestMessage(HttpMethod.Post, new Uri(_server, "api/v1/write")) { Content = new ByteArrayContent(body.ToArray()) };
        foreach (var (name, value) in context.Request.Headers)
        {
            if (!request.Headers.TryAddWithoutValidation(name, value.ToArray()))
                request.Content.Headers.TryAddWithoutValidation(name, value.ToArray());
        }

        using var answer = await _http.SendAsync(request);
        if (fault == 2)
        {
            context.Abort();
            return;
        }

        if (answer.StatusCode == HttpStatusCode.NoContent)
            Acknowledged.Enqueue(body.ToArray());
        context.Response.StatusCode = (int)answer.StatusCode;
    }

    // 0 delivers, 1 refuses, 2 loses the answer.
    int NextFault()
    {
        lock (_random)
        {
            var fault = _random.Next(3);
            _faults += fault > 0 ? 1 : 0;
            return fault;
        }
    }
}
