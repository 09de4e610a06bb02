using System.Net;
using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.PagerDuty;
using Whistle.State.Health;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What the server says of itself, to anybody and to those who carry the token.</summary>
public sealed class HealthTests
{
    const string Reason = "The hour 2026-01-01T00Z is damaged; secret-of-the-operator.";

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Without_a_token_nobody_learns_more_than_the_names_of_what_failed()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var board = server.App.Services.GetRequiredService<HealthBoard>();
        using var anybody = new HttpClient { BaseAddress = server.App.Address };
        Assert.Equal((HttpStatusCode.OK, "Whistle is ready.\n"), await GetAsync(anybody, "-/ready"));
        board.Report("outbox", "mail", HealthState.Degraded, Reason);
        Assert.Equal((HttpStatusCode.OK, "Whistle is ready.\n"), await GetAsync(anybody, "-/ready"));
        board.Report("telemetry-store", "2026-01-01T00Z", HealthState.Failed, Reason);
        board.Report("telemetry-store", "2026-01-01T01Z", HealthState.Failed, Reason);
        board.Report("disk", "", HealthState.Failed, Reason);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "disk\ntelemetry-store\n"), await GetAsync(anybody, "-/ready"));
        Assert.Equal((HttpStatusCode.OK, "Whistle is healthy.\n"), await GetAsync(anybody, "-/healthy"));
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(anybody, "api/whistle/v1/health")).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync(anybody, "metrics")).Status);
    }

    [Fact]
    public async Task With_the_token_everything_is_said_and_metrics_follow_to_the_end()
    {
        await using var server = await StartAsync();
        var board = server.App.Services.GetRequiredService<HealthBoard>();
        Assert.Equal("""{"state":"ok","problems":[]}""", (await GetAsync(server.Http, "api/whistle/v1/health")).Body);
        board.Report("outbox", "mail", HealthState.Degraded, Reason);
        board.Report("disk", "", HealthState.Failed, Reason);
        using var answer = JsonDocument.Parse((await GetAsync(server.Http, "api/whistle/v1/health")).Body);

        Assert.Equal("failed", answer.RootElement.GetProperty("state").GetString());
        var first = answer.RootElement.GetProperty("problems")[0];
        Assert.Equal(
            ("disk", "", "failed", Reason),
            (Text(first, "component"), Text(first, "subject"), Text(first, "state"), Text(first, "reason")));
        Assert.True(first.GetProperty("since").TryGetDateTimeOffset(out _));
        Assert.Equal(1, await server.MetricAsync("whistle_health_problems{component=\"disk\",state=\"failed\"}", Cancellation));
        Assert.Equal(1, await server.MetricAsync("whistle_health_problems{component=\"outbox\",state=\"degraded\"}", Cancellation));
        board.Clear("disk", "");
        Assert.Contains(
            "whistle_health_problems{component=\"disk\",state=\"failed\"} 0", await server.Http.GetStringAsync("metrics", Cancellation),
            StringComparison.Ordinal);
        using var document = JsonDocument.Parse(await server.Http.GetStringAsync("openapi/v1.json", Cancellation));
        Assert.Equal("getHealth", document.RootElement.GetProperty("paths").GetProperty("/api/whistle/v1/health").GetProperty("get")
            .GetProperty("operationId").GetString());
    }

    [Theory]
    [InlineData(HealthState.Ok, 0, "The server is well.")]
    [InlineData(HealthState.Warning, 0, "warning  outbox")]
    [InlineData(HealthState.Degraded, 4, "degraded  outbox")]
    [InlineData(HealthState.Failed, 1, "failed  outbox")]
    public async Task The_command_line_says_it_and_ends_with_how_bad_it_is(HealthState state, int code, string says)
    {
        await using var server = await StartAsync();
        if (state is not HealthState.Ok)
            server.App.Services.GetRequiredService<HealthBoard>().Report("outbox", "mail", state, Reason);
        var (exit, output) = await RunAsync(server, "health");
        var (jsonExit, json) = await RunAsync(server, "health", "--json");

        Assert.Equal((code, code), (exit, jsonExit));
        Assert.Contains(says, output, StringComparison.Ordinal);
        Assert.Equal(state is not HealthState.Ok, output.Contains(Reason, StringComparison.Ordinal));
        Assert.Equal(state.ToString().ToLowerInvariant(), JsonDocument.Parse(json).RootElement.GetProperty("state").GetString());
    }

    [Fact]
    public async Task Without_a_notification_channel_health_warns_and_the_server_is_ready()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        using var answer = JsonDocument.Parse((await GetAsync(server.Http, "api/whistle/v1/health")).Body);
        var problem = answer.RootElement.GetProperty("problems").EnumerateArray().Single();

        Assert.Equal(
            ("warning", "warning", "alerting"), (Text(answer.RootElement, "state"), Text(problem, "state"), Text(problem, "component")));
        Assert.StartsWith(NoChannel.Hint, Text(problem, "reason"), StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.OK, "Whistle is ready.\n"), await GetAsync(server.Http, "-/ready"));
    }

    [Theory]
    [InlineData("incidents", HealthState.Failed)]
    [InlineData("alerts", HealthState.Degraded)]
    public async Task A_list_of_a_server_that_is_not_well_is_no_all_clear(string verb, HealthState state)
    {
        await using var server = await StartAsync();
        var (_, well, nothing) = await RunWithErrorAsync(server, verb);
        server.App.Services.GetRequiredService<HealthBoard>().Report("rules", "test", state, Reason);
        var (exit, output, warning) = await RunWithErrorAsync(server, verb);

        Assert.DoesNotContain("not an all-clear", well, StringComparison.Ordinal);
        Assert.Empty(nothing.Trim());
        Assert.Equal(0, exit);
        Assert.Contains("this is not an all-clear", output, StringComparison.Ordinal);
        Assert.StartsWith($"Warning: the server is {state.ToString().ToLowerInvariant()} (rules)", warning, StringComparison.Ordinal);
        Assert.Contains("whistle health", warning, StringComparison.Ordinal);
    }

    static Task<InProcessServer> StartAsync() => InProcessServer.StartAsync(
        Cancellation, change: o => o with
        {
            Alerting = new()
            {
                Channels = [new PagerDutyOptions { Address = new("http://127.0.0.1:9"), RoutingKey = new string('k', 32) }],
            },
        });

    [Fact]
    public async Task An_agent_of_its_own_that_cannot_run_is_said()
    {
        var folder = Directory.CreateTempSubdirectory("whistle").FullName;
        // A file where its folder should be.
        await File.WriteAllTextAsync(Path.Combine(folder, "agent"), "", Cancellation);
        await using (var server = await InProcessServer.StartAsync(Cancellation, folder, o => o with { Agent = true }))
            Assert.Equal(HealthState.Degraded, (await UntilAsync(server, "agent")).State);
        Directory.Delete(folder, recursive: true);
    }

    internal static async Task<HealthProblem> UntilAsync(InProcessServer server, string component, HealthState state = HealthState.Degraded)
    {
        var board = server.App.Services.GetRequiredService<HealthBoard>();
        while (true)
        {
            if (board.Problems().FirstOrDefault(p => p.Component == component && p.State >= state) is { } problem)
                return problem;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, Cancellation);
        }
    }

    static async Task<(HttpStatusCode Status, string Body)> GetAsync(HttpClient http, string path)
    {
        using var answer = await http.GetAsync(new Uri(path, UriKind.Relative), Cancellation);
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }

    static async Task<(int Exit, string Output)> RunAsync(InProcessServer server, params string[] verb) =>
        await RunWithErrorAsync(server, verb) is var (exit, output, _) ? (exit, output) : default;

    static async Task<(int Exit, string Output, string Error)> RunWithErrorAsync(InProcessServer server, params string[] verb)
    {
        using var process = ChildProcess.StartProject(
            "Whistle", "whistle.dll", [.. verb, "--server", server.App.Address.ToString(), "--data", server.Folder]);
        var output = new List<string>();
        var error = new List<string>();
        process.OutputDataReceived += (_, line) => output.Add(line.Data ?? "");
        process.ErrorDataReceived += (_, line) => error.Add(line.Data ?? "");
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, string.Join('\n', output), string.Join('\n', error));
    }

    static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
}
