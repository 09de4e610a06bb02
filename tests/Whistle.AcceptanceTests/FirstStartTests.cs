using System.Net;
using System.Net.Sockets;
using System.Text;

using Microsoft.Extensions.Logging;

using Whistle.Fixtures;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What a start on a full disk leaves behind opens nothing to anybody.</summary>
public sealed class FirstStartTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("")]
    [InlineData("\n")]
    [InlineData("\u00a0")]
    public async Task An_empty_token_file_is_no_key(string token)
    {
        var folder = Directory.CreateTempSubdirectory("whistle").FullName;
        PrivateText.Write(Path.Combine(folder, "token"), token);
        await using (var server = await InProcessServer.StartAsync(Cancellation, folder))
        {
            foreach (var (route, body) in new[]
            {
                ("GET /api/whistle/v1/incidents", ""), ("POST /api/v1/write", ""),
                ("POST /agent/v1/commands/lease", """{"waitSeconds":0}"""), ("GET /metrics", ""),
            })
            {
                foreach (var header in new[]
                {
                    "Bearer \u00a0", "Bearer ", "Bearer", "Bearer \u2003\u3000", "bearer \t",
                    "Bearer \u00a0\r\nAuthorization: Bearer \u00a0", "Bearer \ufeff",
                })
                {
                    var status = await AskAsync(server.App.Address, route, header, body, Encoding.UTF8);
                    Assert.True(status is 400 or 401, $"{route} with {header} answers {status}");
                }

                Assert.True(await AskAsync(server.App.Address, route, "Bearer \u00a0", body, Encoding.Latin1) is 400 or 401, route);
            }

            // The one that was made in its place.
            using var answer = await server.Http.GetAsync("api/whistle/v1/incidents", Cancellation);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Single(Directory.GetFiles(folder, "token.damaged-*"));
        Directory.Delete(folder, recursive: true);
    }

    [Theory]
    [InlineData(4)]
    [InlineData(16)]
    [InlineData(64)]
    public async Task A_first_start_on_a_full_disk_is_refused_leaves_no_half_secret_and_goes_well_once_there_is_room(int kibibytes)
    {
        using var disk = MountFolder.Create();
        var folder = disk.Mount("-t", "tmpfs", "-o", $"size={kibibytes}k,mode=0700", "whistle-test", Path.Combine(disk.FullPath, "mnt"));
        Shell.Try($"head -c 1M /dev/zero > '{folder}/ballast'");
        await Assert.ThrowsAsync<StartException>(() => WhistleApp.OpenAsync(Options(folder), Cancellation));
        AssertSecretsWhole(folder);
        var error = await Assert.ThrowsAsync<StartException>(() => WhistleApp.OpenAsync(Options(folder), Cancellation));
        Assert.Contains(folder, error.Message, StringComparison.Ordinal);

        Shell.Run($"mount -o remount,size=256m '{folder}'; rm '{folder}/ballast'");
        await using var server = await InProcessServer.StartAsync(Cancellation, folder);
        using var answer = await server.Http.GetAsync("api/whistle/v1/incidents", Cancellation);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        AssertSecretsWhole(folder);
        Assert.Empty(Directory.GetFiles(folder, "*.damaged-*"));
    }

    // Wherever the space ends: a secret is whole or not there.
    [Fact]
    public async Task A_disk_that_fills_at_any_byte_leaves_whole_secrets_or_none()
    {
        foreach (var pages in new[] { 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256 })
        {
            using var disk = MountFolder.Create();
            var options = $"size={pages * 4}k,nr_inodes={pages + 2},mode=0700";
            var folder = disk.Mount("-t", "tmpfs", "-o", options, "whistle-test", Path.Combine(disk.FullPath, "mnt"));
            try
            {
                await (await WhistleApp.OpenAsync(Options(folder), Cancellation)).DisposeAsync();
            }
            catch (StartException)
            {
                // Which is what is looked for.
            }
            finally
            {
                AssertSecretsWhole(folder);
            }
        }
    }

    static WhistleOptions Options(string folder) =>
        new() { DataFolder = folder, Listen = [new("http://127.0.0.1:0")], Agent = false, LeastLogged = LogLevel.None };

    static void AssertSecretsWhole(string folder)
    {
        foreach (var (name, prefix) in new[] { ("token", "wsa_"), ("instance", "wsi_") })
        {
            var file = Path.Combine(folder, name);
            if (File.Exists(file))
                Assert.Matches($"\\A{prefix}[A-Za-z0-9_-]{{43}}\n\\z", File.ReadAllText(file));
        }

        Assert.Empty(Directory.GetFiles(folder, "*.new-*"));
    }

    // By hand: a client would not let such a header out.
    static async Task<int> AskAsync(Uri address, string route, string authorization, string body, Encoding encoding)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync(IPAddress.Loopback, address.Port, Cancellation);
        await using var stream = connection.GetStream();
        await stream.WriteAsync(
            encoding.GetBytes($"{route} HTTP/1.1\r\nHost: {address.Authority}\r\nAuthorization: {authorization}\r\n"
                + $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}"),
            Cancellation);
        using var reader = new StreamReader(stream, Encoding.Latin1);
        var status = await reader.ReadLineAsync(Cancellation);
        return int.Parse(status!.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
    }
}
