using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

using Whistle.Fixtures;
using Whistle.Ingest.Influx;
using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The InfluxDB store's way of writing, to servers other than InfluxDB.</summary>
public sealed class InfluxWriteTests : IDisposable
{
    static readonly long Now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() / 60_000 * 60_000;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-influx-").FullName;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Victoria_metrics_takes_the_same_lines()
    {
        var listen = $"127.0.0.1:{ChildProcess.FreePort()}";
        var process = ChildProcess.Start(
            Requirement.VictoriaMetrics(),
            [$"-storageDataPath={_folder}/data", $"-httpListenAddr={listen}", "-loggerLevel=WARN", "-retentionPeriod=1y"]);
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri($"http://{listen}") };
            await process.UntilAnswersAsync(http, "health", Cancellation);
            foreach (var gzip in new[] { true, false })
                Append(new InfluxEndpoint(http.BaseAddress, "w"), gzip, ("a b,c=d", gzip ? 1 : 2));

            await process.UntilAsync(async c =>
            {
                // What was written becomes visible after a moment.
                await http.GetAsync(new Uri("internal/force_flush", UriKind.Relative), c);
                var lines = (await http.GetStringAsync(new Uri("api/v1/export?match[]=m_value", UriKind.Relative), c)).Trim().Split('\n');
                if (lines is [""])
                    return false;
                using var json = JsonDocument.Parse(lines[0]);
                Assert.Equal("a b,c=d", json.RootElement.GetProperty("metric").GetProperty("id").GetString());
                return json.RootElement.GetProperty("values").GetArrayLength() == 2;
            }, Cancellation);
        }
        finally
        {
            await process.KillAndWaitAsync();
        }
    }

    [Fact]
    public async Task Only_the_named_authority_proves_a_server()
    {
        using TestAuthority right = new("right"), wrong = new("wrong");
        using var certificate = right.Sign("localhost");
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        using var served = X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pfx), null);
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l => l.UseHttps(served)));
        await using var app = builder.Build();
        app.Run(context =>
        {
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return Task.CompletedTask;
        });
        await app.StartAsync(Cancellation);
        var url = new Uri($"https://localhost:{new Uri(app.Urls.First()).Port}");

        Append(new InfluxEndpoint(url, "w") { CaFile = FileOf(right) }, gzip: true, ("a", 1));
        foreach (var file in new[] { FileOf(wrong), null })
        {
            Assert.Contains(
                "SSL", Assert.Throws<StoreException>(() => Append(new InfluxEndpoint(url, "w") { CaFile = file }, true, ("a", 1))).Message,
                StringComparison.Ordinal);
        }
    }

    string FileOf(TestAuthority authority)
    {
        var file = Path.Combine(_folder, $"{authority.Fingerprint}.pem");
        File.WriteAllText(file, authority.Certificate.ExportCertificatePem());
        return file;
    }

    static void Append(InfluxEndpoint endpoint, bool gzip, (string Id, double Value) sample)
    {
        using var store = new InfluxStore(
            new InfluxOptions
            {
                Endpoints = [endpoint],
                Retention = TimeSpan.FromDays(30),
                Gzip = gzip,
                RetryFor = TimeSpan.FromMilliseconds(200),
            },
            TimeProvider.System);
        var batch = new CommitBatch();
        var series = new HeadSeries(1, Labels.OfMetric("m", ("tenant", "t"), ("id", sample.Id)), "t");
        batch.Add(series, Now + (long)sample.Value, sample.Value, late: false);
        store.Append(batch);
    }
}
