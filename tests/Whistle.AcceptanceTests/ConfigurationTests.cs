using Whistle.Fixtures;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class ConfigurationTests : IDisposable
{
    static readonly string Key = new('k', 32);

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-configured").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_server_that_is_pointed_at_PagerDuty_by_file_and_environment_pages_and_never_prints_the_key()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var pagerDuty = await PagerDutyServer.StartAsync(cancellation);
        await using var server = new ServerProcess(_folder, "--no-agent");
        PrivateText.Write(Path.Combine(_folder, "key"), Key);
        await WriteAsync("rules.yaml", """
            groups:
              - name: mine
                interval: 1s
                rules:
                  - { alert: Always, expr: vector(1), labels: { severity: critical, cluster: c },
                      annotations: { summary: It is always so } }
            """);
        await WriteAsync("appsettings.json", $$"""
            {
              "Rules": ["rules.yaml"],
              "Alerting": { "CriticalDeadline": "1s", "Address": "https://whistle.example.com",
                  "PagerDuty": { "Address": "{{pagerDuty.Address}}" } }
            }
            """);
        server.Environment["WHISTLE_Alerting__PagerDuty__RoutingKeyFile"] = Path.Combine(_folder, "key");
        await server.StartAsync(cancellation);
        while (pagerDuty.Events.IsEmpty)
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, cancellation);

        Assert.True(pagerDuty.Events.TryPeek(out var page));
        Assert.Equal(Key, page.GetProperty("routing_key").GetString());
        Assert.StartsWith("https://whistle.example.com/", page.GetProperty("client_url").GetString(), StringComparison.Ordinal);
        Assert.Contains(server.Output, l => l.StartsWith("People are paged through PagerDuty at ", StringComparison.Ordinal));
        Assert.Contains(server.Output, l => l == $"Settings are from {Path.Combine(_folder, "appsettings.json")}");
        Assert.DoesNotContain(server.Output, l => l.Contains(Key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_server_with_mistakes_in_its_settings_does_not_start_and_says_them_all()
    {
        var cancellation = TestContext.Current.CancellationToken;
        await WriteAsync("my.json", "{\n  \"Retention\": \"long\"\n}");
        var output = new List<string>();
        using var process = ChildProcess.StartProject(
            "Whistle", "whistle.dll", ["serve", "--data", _folder, "--config", Path.Combine(_folder, "my.json"), "--interval", "99"],
            new Dictionary<string, string> { ["WHISTLE_Colour"] = "red" });
        process.ErrorDataReceived += (_, line) => output.Add(line.Data ?? "");
        await process.WaitForExitAsync(cancellation);

        Assert.Equal(2, process.ExitCode);
        string[] mistakes =
            [$"{_folder}/my.json:2: Retention: \"long\"", "--interval: 99 seconds", "WHISTLE_Colour: there is no key Colour"];
        Assert.All(mistakes, m => Assert.Contains(output, l => l.StartsWith(m, StringComparison.Ordinal)));
    }

    Task WriteAsync(string name, string text) =>
        File.WriteAllTextAsync(Path.Combine(_folder, name), text, TestContext.Current.CancellationToken);
}
