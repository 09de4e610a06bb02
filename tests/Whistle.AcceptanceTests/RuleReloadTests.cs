using System.Net;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class RuleReloadTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-rules").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_rule_file_with_errors_is_reported_by_file_line_and_reason_and_the_rules_before_stay()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var file = Path.Combine(_folder, "my.yaml");
        await File.WriteAllTextAsync(file, Rules("up == 0"), cancellation);
        await using var server = await InProcessServer.StartAsync(cancellation, change: o => o with { Rules = [file] });

        await File.WriteAllTextAsync(file, Rules("up === 0"), cancellation);
        using var refused = await server.Http.PostAsync("-/reload", null, cancellation);
        var reason = await refused.Content.ReadAsStringAsync(cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("my.yaml:5:", reason, StringComparison.Ordinal);
        Assert.Contains("up == 0", await server.Http.GetStringAsync("api/v1/rules", cancellation), StringComparison.Ordinal);
        Assert.Equal(1, await server.MetricAsync("whistle_rule_reloads_total{result=\"error\"}", cancellation));

        await File.WriteAllTextAsync(file, Rules("up == 2"), cancellation);
        using var accepted = await server.Http.PostAsync("-/reload", null, cancellation);
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
        Assert.Contains("up == 2", await server.Http.GetStringAsync("api/v1/rules", cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_does_not_start_on_rules_with_errors_and_says_where_they_are()
    {
        var file = Path.Combine(_folder, "my.yaml");
        await File.WriteAllTextAsync(file, Rules("sum("), TestContext.Current.CancellationToken);

        var refusal = await Assert.ThrowsAsync<StartException>(() =>
            InProcessServer.StartAsync(TestContext.Current.CancellationToken, _folder, o => o with { Rules = [file] }));

        Assert.Contains("my.yaml:5:", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_runbook_with_errors_is_reported_by_file_line_and_reason_and_the_one_before_stays()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var file = Path.Combine(_folder, "my.yaml");
        await File.WriteAllTextAsync(file, Runbook("disk.clean-paths"), cancellation);
        await using var server = await InProcessServer.StartAsync(cancellation, change: o => o with { Runbooks = [file] });
        var before = await server.Http.GetStringAsync("api/whistle/v1/runbooks", cancellation);

        await File.WriteAllTextAsync(file, Runbook("disk.format"), cancellation);
        using var refused = await server.Http.PostAsync("-/reload", null, cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains(
            "my.yaml:6:13: unknown action \"disk.format\"", await refused.Content.ReadAsStringAsync(cancellation),
            StringComparison.Ordinal);
        Assert.Equal(before, await server.Http.GetStringAsync("api/whistle/v1/runbooks", cancellation));
        var refusal = await Assert.ThrowsAsync<StartException>(
            () => InProcessServer.StartAsync(cancellation, _folder, o => o with { Runbooks = [file] }));
        Assert.Contains("my.yaml:6:13:", refusal.Message, StringComparison.Ordinal);
    }

    static string Runbook(string action) => $$"""
        name: mine
        summary: Mine
        answers: [{ signal: Down }]
        steps:
          - name: clean
            action: {{action}}
        verify: { within: 3m }
        """;

    static string Rules(string expression) => $"""
        groups:
          - name: mine
            rules:
              - alert: Down
                expr: {expression}
        """;
}
