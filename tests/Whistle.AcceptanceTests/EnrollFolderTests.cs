using System.Net;
using System.Security.Cryptography;
using System.Text;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Fixtures;
using Whistle.Inventory.Audit;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What the agent keeps of an enrolment, and what it does with the one before.</summary>
public sealed class EnrollFolderTests : IDisposable
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-enroll-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Enrolling_again_changes_nothing_and_as_another_only_when_that_is_said()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var token = (await server.App.Credentials.MakeJoinTokenAsync(
            new("t", "c"), 10, TimeSpan.FromHours(1), replaces: false, Cancellation)).Token;

        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n1"));
        var first = await File.ReadAllTextAsync(Path.Combine(_folder, "token"), Cancellation);
        Directory.CreateDirectory(Path.Combine(_folder, "buffer"));
        await File.WriteAllTextAsync(Path.Combine(_folder, "buffer", "1.reports"), "of n1", Cancellation);
        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n1"));
        Assert.Equal(AgentCommand.Failed, await EnrollAsync(server.App.Address, token, "n2"));
        Assert.Equal(AgentCommand.Failed, await EnrollAsync(new("http://127.0.0.1:1"), token, "n1"));
        Assert.Equal(first, await File.ReadAllTextAsync(Path.Combine(_folder, "token"), Cancellation));
        Assert.Equal(1, Assert.Single(await server.App.Credentials.JoinTokensAsync(Cancellation)).Used);

        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n2", replace: true));
        Assert.NotEqual(first, await File.ReadAllTextAsync(Path.Combine(_folder, "token"), Cancellation));
        // What was measured as n1 is not sent as n2.
        Assert.False(Directory.Exists(Path.Combine(_folder, "buffer")));
        Assert.Empty(Directory.GetFiles(_folder, "token.joining-*"));
    }

    [Fact]
    public async Task Enrolled_again_a_node_learns_whether_the_server_still_takes_its_credential()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var (credentials, cluster) = (server.App.Credentials, new Inventory.ClusterId("t", "c"));
        var token = (await credentials.MakeJoinTokenAsync(cluster, 10, TimeSpan.FromHours(1), replaces: false, Cancellation)).Token;
        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n1"));
        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n1"));

        await credentials.Register.ArchiveNodeAsync(cluster.Node("n1"), "ann", Cancellation);
        Assert.Equal(AgentCommand.Failed, await EnrollAsync(server.App.Address, token, "n1"));
        await credentials.Register.UnarchiveNodeAsync(cluster.Node("n1"), Cancellation);
        using (var silent = new Answering("<html>"))
            Assert.Equal(AgentCommand.Unreachable, await EnrollAsync(server.App.Address, token, "n1", handler: silent));

        // One that the agent itself would go on with counts too.
        var own = (await File.ReadAllTextAsync(Path.Combine(_folder, "token"), Cancellation)).Trim();
        PrivateText.Write(Path.Combine(_folder, "token"), Telemetry.AccessToken.New(Telemetry.AccessToken.OfSender));
        PrivateText.Write(Path.Combine(_folder, "token.next"), own);
        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n1"));

        // Nothing was renewed by all that asking.
        Assert.DoesNotContain(
            await server.App.Services.GetRequiredService<AuditLog>().ListAsync(new(), 100, Cancellation),
            e => e.What.Action == "renew-credential");

        await credentials.RevokeAsync(cluster, "n1", Cancellation);
        var (exit, _, error) = await Programs.AgentAsync(
            "enroll", "--server", $"{server.App.Address}", "--folder", _folder, "--node", "n1", "--join-token", token);
        Assert.Equal(AgentCommand.Failed, exit);
        Assert.Contains("does not take its credential any more", error, StringComparison.Ordinal);
        Assert.Contains($"Use: whistle-agent enroll --replace --folder {_folder} ", error, StringComparison.Ordinal);
        var (_, output, _) = await Programs.AgentAsync(
            "enroll", "--server", $"{server.App.Address}", "--folder", _folder, "--node", "n1", "--join-token", token, "--replace");
        Assert.Contains($"`whistle-agent run --folder {_folder}` reports it.", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Enrolled_again_a_node_tries_the_credentials_that_its_agent_would()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var token = (await server.App.Credentials.MakeJoinTokenAsync(
            new("t", "c"), 1, TimeSpan.FromHours(1), replaces: false, Cancellation)).Token;
        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n1"));
        var file = Path.Combine(_folder, "token");
        var own = (await File.ReadAllTextAsync(file, Cancellation)).Trim();
        var (refused, another) = (New(), New());

        PrivateText.Write(file, refused);
        PrivateText.Write($"{file}.previous", $"{own} {HashOf(refused)}");
        Assert.Equal(0, await EnrollAsync(server.App.Address, token, "n1"));

        // It may be another server's.
        PrivateText.Write($"{file}.previous", $"{own} {HashOf(another)}");
        Assert.Equal(AgentCommand.Failed, await EnrollAsync(server.App.Address, token, "n1"));

        // The agent leaves a link to whoever made it.
        File.Move(file, $"{file}.linked");
        File.CreateSymbolicLink(file, $"{file}.linked");
        File.Delete($"{file}.previous");
        PrivateText.Write($"{file}.next", own);
        Assert.Equal(AgentCommand.Failed, await EnrollAsync(server.App.Address, token, "n1"));

        static string New() => Telemetry.AccessToken.New(Telemetry.AccessToken.OfSender);

        static string HashOf(string credential) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(credential)));
    }

    [Theory]
    [InlineData("""{"tenant":"t","cluster":"c","node":"another"}""")]
    [InlineData("""{"tenant":"\u001b[31m","cluster":"c","node":"n1"}""")]
    [InlineData("""{"tenant":"t","cluster":"","node":"n1"}""")]
    [InlineData("null")]
    [InlineData("<html>")]
    public async Task An_answer_that_no_server_gives_is_not_believed(string answer)
    {
        using var handler = new Answering(answer);
        Assert.Equal(AgentCommand.Failed, await EnrollAsync(new("http://127.0.0.1:1"), Join, "n1", handler: handler));
        Assert.False(File.Exists(Path.Combine(_folder, "token")));
        Assert.False(File.Exists(Path.Combine(_folder, "enrolment.json")));

        using var right = new Answering("""{"tenant":"t","cluster":"c","node":"n1"}""");
        Assert.Equal(0, await EnrollAsync(new("http://127.0.0.1:1"), Join, "n1", handler: right));
    }

    [Fact]
    public async Task An_answer_without_an_end_is_cut_off()
    {
        using var handler = new Answering(new string(' ', 1 << 20));
        Assert.Equal(AgentCommand.Unreachable, await EnrollAsync(new("http://127.0.0.1:1"), Join, "n1", handler: handler));
        Assert.False(File.Exists(Path.Combine(_folder, "token")));
    }

    static string Join => Telemetry.AccessToken.New(Telemetry.AccessToken.OfJoin);

    Task<int> EnrollAsync(Uri server, string token, string node, bool replace = false, HttpMessageHandler? handler = null) =>
        EnrollCommand.RunAsync(
            new AgentOptions { Server = server, Handler = handler, Buffer = new() { Folder = Path.Combine(_folder, "buffer") } }, _folder,
            token, null, node, replace, Cancellation);

    sealed class Answering(string body) : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK)
            {
                Content = new StringContent(body, Encoding.UTF8, "application/json"),
            });
    }
}
