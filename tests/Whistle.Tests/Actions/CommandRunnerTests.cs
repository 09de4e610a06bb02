using System.Net;
using System.Text.Json;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;
using Whistle.Agent.Running;
using Whistle.Agent.Settings;
using Whistle.Tests.Agent;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class CommandRunnerTests : IDisposable
{
    readonly HostFixture _disk = new();
    readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));
    readonly CommandServer _server = new();
    readonly CountingAction _action = new();

    string Records => Path.Join(_disk.Folder, "commands");

    public void Dispose() => _disk.Dispose();

    [Theory]
    [InlineData(null, 1, CommandOutcome.Succeeded)]
    [InlineData(RunnerStep.BeforeIntent, 1, CommandOutcome.Succeeded)]
    [InlineData(RunnerStep.AfterIntent, 0, CommandOutcome.Indeterminate)]
    [InlineData(RunnerStep.AfterAction, 1, CommandOutcome.Indeterminate)]
    [InlineData(RunnerStep.AfterResult, 1, CommandOutcome.Succeeded)]
    [InlineData(RunnerStep.AfterReport, 1, CommandOutcome.Succeeded)]
    [InlineData(RunnerStep.AfterForgetting, 1, CommandOutcome.Succeeded)]
    internal async Task A_death_at_any_step_neither_repeats_an_action_nor_loses_its_result(
        RunnerStep? death, int mutations, CommandOutcome outcome)
    {
        _server.Lease("c1");
        if (death is not null)
            await Assert.ThrowsAsync<DeathException>(() => Runner(death).LeaseAndRunOnceAsync(CancellationToken.None));

        // The server leases what has no result again, with a higher token each time; and once more after that.
        for (var i = 0; i < 3; i++)
        {
            using var restarted = Runner();
            Assert.Null(await restarted.LeaseAndRunOnceAsync(CancellationToken.None));
        }

        _server.LeaseAgain("c1");
        using var last = Runner();
        Assert.Null(await last.LeaseAndRunOnceAsync(CancellationToken.None));
        Assert.Equal(mutations, _action.Mutations);
        Assert.NotEmpty(_server.Results);
        Assert.All(_server.Results, r => Assert.Equal(outcome, r.Outcome));
        Assert.Equal(_server.Token, _server.Results[^1].Token);
    }

    [Fact]
    public async Task Results_wait_while_the_server_is_away_and_nothing_new_is_leased_before()
    {
        _server.Lease("c1");
        _server.FailResults = true;
        using (var runner = Runner())
            Assert.NotNull(await runner.LeaseAndRunOnceAsync(CancellationToken.None));
        Assert.Empty(_server.Results);

        _server.FailResults = false;
        using var later = Runner();
        await later.LeaseAndRunOnceAsync(CancellationToken.None);
        Assert.Equal(CommandOutcome.Succeeded, Assert.Single(_server.Results).Outcome);
        Assert.Equal(1, _action.Mutations);
    }

    [Fact]
    public async Task A_server_that_cannot_be_reached_is_asked_for_the_permit_again_for_half_a_minute()
    {
        _server.Lease("c1");
        _server.Unreachable = 3;
        using (var runner = Runner())
            await FinishAsync(runner.LeaseAndRunOnceAsync(CancellationToken.None));
        Assert.Equal(CommandOutcome.Succeeded, Assert.Single(_server.Results).Outcome);

        _server.Lease("c2");
        _server.Unreachable = int.MaxValue;
        using (var runner = Runner())
            await FinishAsync(runner.LeaseAndRunOnceAsync(CancellationToken.None));
        Assert.Equal(CommandOutcome.Refused, _server.Results[^1].Outcome);
        Assert.Contains("could not be asked for a permit", _server.Results[^1].Summary, StringComparison.Ordinal);
        Assert.Equal(1, _action.Mutations);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("")]
    [InlineData("torn")]
    public async Task A_damaged_record_still_keeps_its_command_from_running_again(string damage)
    {
        _server.Lease("c1");
        using (var runner = Runner())
            await runner.LeaseAndRunOnceAsync(CancellationToken.None);
        var record = Assert.Single(Directory.GetFiles(Records, "*.command"));
        File.WriteAllText(record, damage == "torn" ? File.ReadAllText(record)[..^3] : damage);
        File.SetLastWriteTimeUtc(record, _time.GetUtcNow().UtcDateTime);

        _server.LeaseAgain("c1");
        using var restarted = Runner();
        await restarted.LeaseAndRunOnceAsync(CancellationToken.None);
        Assert.Equal(1, _action.Mutations);
        Assert.Equal(CommandOutcome.Indeterminate, _server.Results[^1].Outcome);
    }

    [Fact]
    public async Task Ids_are_remembered_for_a_week_without_their_output()
    {
        _server.Lease("c1");
        using var runner = Runner();
        await runner.LeaseAndRunOnceAsync(CancellationToken.None);
        Assert.DoesNotContain(
            "the output", File.ReadAllText(Assert.Single(Directory.GetFiles(Records, "*.command"))), StringComparison.Ordinal);
        _time.Advance(TimeSpan.FromDays(8));
        await runner.LeaseAndRunOnceAsync(CancellationToken.None);
        Assert.Empty(Directory.GetFiles(Records, "*.command"));
    }

    [Fact]
    public async Task Without_a_permit_an_unknown_action_or_in_a_dry_run_nothing_is_changed()
    {
        _server.Permit = new BeginAnswer(false, 0, "paused");
        _server.Lease("c1");
        _server.Lease("c2", "no.such-action");
        _server.Lease("c3", dryRun: true);
        using var runner = Runner();
        await runner.LeaseAndRunOnceAsync(CancellationToken.None);
        Assert.Equal(0, _action.Mutations);
        Assert.Equal([CommandOutcome.Refused, CommandOutcome.Refused, CommandOutcome.Succeeded], _server.Results.Select(r => r.Outcome));
        Assert.Equal("paused", _server.Results[0].Summary);
        Assert.Equal(1, _server.Begins);
    }

    CommandRunner Runner(RunnerStep? death = null) => new(
        new AgentOptions
        {
            Server = new Uri("http://localhost:9480"),
            Token = "t",
            Time = _time,
            Handler = _server,
            Buffer = new BufferOptions { Folder = _disk.Folder },
            At = (step, _) =>
            {
                if (step == death)
                    throw new DeathException();
            },
        },
        NullLogger.Instance,
        [_action]);

    // Turns the clock on for as long as the runner waits on it.
    async Task FinishAsync(Task work)
    {
        while (!work.IsCompleted)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await work;
    }

    // Of the kind that a runner never takes for an action's failure.
    sealed class DeathException : OperationCanceledException;

    sealed class CountingAction : INodeAction
    {
        public int Mutations { get; private set; }

        public ActionDescriptor Descriptor { get; } = new() { Name = "test.count", Summary = "", Reads = "nothing", Changes = "a count" };

        public string Allowance(NodePolicy? policy) => "";

        public async Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
        {
            if (context.DryRun)
                return new ActionReport(CommandOutcome.Succeeded, "would count");
            if (!await context.Guard.MayMutateAsync(cancellation))
                return new ActionReport(CommandOutcome.Refused, context.Guard.Refusal!);
            Mutations++;
            using var output = JsonDocument.Parse("\"the output\"");
            return new ActionReport(CommandOutcome.Succeeded, "counted", output.RootElement.Clone());
        }
    }

    /// <summary>Leases what has no result yet, each time under a higher token.</summary>
    sealed class CommandServer : HttpMessageHandler
    {
        readonly List<LeasedCommand> _commands = [];

        public List<CommandResult> Results { get; } = [];

        public bool FailResults { get; set; }

        public BeginAnswer Permit { get; set; } = new(true, 10, null);

        /// <summary>So many questions for a permit find nobody.</summary>
        public int Unreachable { get; set; }

        public int Begins { get; private set; }

        public long Token { get; private set; }

        public void Lease(string id, string action = "test.count", bool dryRun = false) =>
            _commands.Add(new LeasedCommand(id, 0, action, JsonDocument.Parse("{}").RootElement, dryRun, 60));

        public void LeaseAgain(string id)
        {
            _commands.Clear();
            Lease(id);
        }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Assert.Equal("t", request.Headers.Authorization?.Parameter);
            var body = await request.Content!.ReadAsStringAsync(cancellationToken);
            switch (request.RequestUri!.Segments[^1])
            {
                case "lease" when _commands.Count == 0:
                    return new HttpResponseMessage(HttpStatusCode.NoContent);
                case "lease":
                    Token++;
                    return Json(JsonSerializer.Serialize(
                        [.. _commands.Select(c => c with { Token = Token })], AgentProtocolJson.Default.ListLeasedCommand));
                case "begin" when Unreachable > 0:
                    Unreachable--;
                    throw new HttpRequestException("Connection refused");
                case "begin":
                    Begins++;
                    return Json(JsonSerializer.Serialize(Permit, AgentProtocolJson.Default.BeginAnswer));
                case "result" when FailResults:
                    return new HttpResponseMessage(HttpStatusCode.ServiceUnavailable);
                case "result":
                    Results.Add(JsonSerializer.Deserialize(body, AgentProtocolJson.Default.CommandResult)!);
                    _commands.RemoveAll(c => request.RequestUri.AbsolutePath.Contains($"/{c.Id}/", StringComparison.Ordinal));
                    return new HttpResponseMessage(HttpStatusCode.OK);
                default:
                    return new HttpResponseMessage(HttpStatusCode.NotFound);
            }
        }

        static HttpResponseMessage Json(string text) =>
            new(HttpStatusCode.OK) { Content = new StringContent(text, null, "application/json") };
    }
}
