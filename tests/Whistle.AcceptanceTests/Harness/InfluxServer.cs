using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Logging;

using Whistle.Ingest.Influx;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// An InfluxDB 1.6 of the test's own, with authentication, behind a front that does what 1.8 does by itself: takes lines at
/// <c>/api/v2/write</c>, and <c>Token user:password</c>. Or the 2.x at <c>WHISTLE_TEST_INFLUXDB</c>, as it is.
/// </summary>
public sealed class InfluxServer : IAsyncLifetime
{
    const string Admin = "admin:secret";

    static readonly string? Given = Environment.GetEnvironmentVariable("WHISTLE_TEST_INFLUXDB");

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-influx-").FullName;
    readonly HttpClient _http = new();
    WebApplication? _front;
    Process? _process;
    int _buckets;

    /// <summary>Whether the test may stop it.</summary>
    public bool IsOwn => Given is null;

    /// <summary>Is asked first, and says whether it has answered.</summary>
    internal Func<HttpContext, Task<bool>>? Before { get; set; }

    public Uri Url => Given is not null ? new Uri(Given) : new Uri(_front!.Urls.First());

    public string Token { get; set; } = Environment.GetEnvironmentVariable("WHISTLE_TEST_INFLUXDB_TOKEN") ?? Admin;

    public async ValueTask InitializeAsync()
    {
        if (Given is not null)
            return;
        var port = ChildProcess.FreePort();
        _http.BaseAddress = new Uri($"http://127.0.0.1:{port}");
        await File.WriteAllTextAsync(Path.Combine(_folder, "influxdb.conf"), $"""
            reporting-disabled = true
            bind-address = "127.0.0.1:{ChildProcess.FreePort()}"
            [meta]
              dir = "{_folder}/meta"
            [data]
              dir = "{_folder}/data"
              wal-dir = "{_folder}/wal"
              index-version = "tsi1"
              query-log-enabled = false
            [http]
              bind-address = "127.0.0.1:{port}"
              auth-enabled = true
              log-enabled = false
            [logging]
              level = "warn"
            [monitor]
              store-enabled = false
            """);
        await StartAsync(CancellationToken.None);
        await AskAsync("CREATE USER admin WITH PASSWORD 'secret' WITH ALL PRIVILEGES", null);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        _front = builder.Build();
        _front.Urls.Add("http://127.0.0.1:0");
        _front.Run(AnswerAsync);
        await _front.StartAsync();
    }

    public async Task StartAsync(CancellationToken cancellation)
    {
        _process = ChildProcess.Start(Requirement.InfluxDb(), ["run", "-config", Path.Combine(_folder, "influxdb.conf")]);
        await _process.UntilAnswersAsync(_http, "ping", cancellation);
    }

    public async Task StopAsync()
    {
        await _process!.KillAndWaitAsync();
        _process = null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_front is not null)
            await _front.DisposeAsync();
        if (_process is not null)
            await StopAsync();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>A bucket that does not exist yet.</summary>
    internal InfluxEndpoint NewBucket() => new(Url, $"whistle-{Environment.ProcessId}-{++_buckets}")
    {
        Org = Environment.GetEnvironmentVariable("WHISTLE_TEST_INFLUXDB_ORG") ?? "whistle",
        Token = () => Token,
    };

    /// <summary>A statement to InfluxDB itself.</summary>
    public async Task<string> AskAsync(string statement, string? login = Admin)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "query")
        {
            Content = new FormUrlEncodedContent([new("q", statement)]),
        };
        if (login is not null)
            request.Headers.Authorization = Basic(login);
        using var answer = await _http.SendAsync(request);
        return await answer.Content.ReadAsStringAsync();
    }

    async Task AnswerAsync(HttpContext context)
    {
        if (Before is { } before && await before(context))
            return;
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), Target(context.Request));
        if (context.Request.Method == "POST")
        {
            request.Content = new StreamContent(context.Request.Body);
            foreach (var name in new[] { "Content-Type", "Content-Encoding" })
                request.Content.Headers.TryAddWithoutValidation(name, context.Request.Headers[name].ToArray());
        }

        request.Headers.TryAddWithoutValidation("Accept", context.Request.Headers.Accept.ToArray());
        if (context.Request.Headers.Authorization.ToString() is ['T', 'o', 'k', 'e', 'n', ' ', .. var login])
            request.Headers.Authorization = Basic(login);
        try
        {
            using var answer = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            context.Response.StatusCode = (int)answer.StatusCode;
            foreach (var (name, values) in answer.Headers.Concat(answer.Content.Headers))
            {
                if (name is "X-Influxdb-Version" or "X-Influxdb-Error" or "Content-Type")
                    context.Response.Headers[name] = values.ToArray();
            }

            await answer.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            // As if nobody listened.
            context.Abort();
        }
    }

    static string Target(HttpRequest request)
    {
        if (request.Path != "/api/v2/write")
            return $"{request.Path}{request.QueryString}";
        var bucket = request.Query["bucket"].ToString().Split('/', 2);
        var precision = request.Query["precision"].ToString() switch { "ns" or "" => "n", "us" => "u", var other => other };
        Dictionary<string, string?> query = new() { ["db"] = bucket[0], ["precision"] = precision };
        if (bucket.Length == 2)
            query["rp"] = bucket[1];
        return QueryHelpers.AddQueryString("/write", query);
    }

    static AuthenticationHeaderValue Basic(string login) => new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(login)));
}
