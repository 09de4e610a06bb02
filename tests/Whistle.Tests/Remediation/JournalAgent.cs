using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;
using Whistle.Agent.Running;
using Whistle.Agent.Settings;
using Whistle.Remediation.Commands;
using Xunit;

namespace Whistle.Tests.Remediation;

/// <summary>
/// The real command runner with its journal on disk, against whatever server the bench has now. Its actions count what they change.
/// </summary>
sealed class JournalAgent : IDisposable
{
    readonly RemediationBench _bench;
    readonly Door _door;
    string _folder = Directory.CreateTempSubdirectory("whistle-journal-").FullName;
    CommandRunner _runner;

    public JournalAgent(RemediationBench bench)
    {
        (_bench, _door) = (bench, new(bench));
        bench.Agent.Absent = true;
        _runner = Runner();
    }

    /// <summary>Every change that was made, with when.</summary>
    public List<(DateTimeOffset At, string Action)> Changes { get; } = [];

    public List<JournalReport> Told => _door.Told;

    /// <summary>Whether cleaning empties the disk.</summary>
    public bool Helps { get; set; } = true;

    /// <summary>Where it dies next.</summary>
    public RunnerStep? Dies { get; set; }

    public Action<RunnerStep> At { get; set; } = _ => { };

    /// <summary>It answers the lease as one of an earlier release does.</summary>
    public bool IsOld
    {
        set => _door.IsOld = value;
    }

    /// <summary>One turn of its loop.</summary>
    public async Task WorkAsync()
    {
        try
        {
            await _runner.LeaseAndRunOnceAsync(CancellationToken.None);
        }
        catch (DeathException)
        {
            Restart();
        }

        await _bench.PersistedAsync();
    }

    public void Restart()
    {
        _runner.Dispose();
        _runner = Runner();
    }

    /// <summary>Installed again on a node whose disk was lost.</summary>
    public void Forget()
    {
        Directory.Delete(_folder, recursive: true);
        _folder = Directory.CreateTempSubdirectory("whistle-journal-").FullName;
        Restart();
    }

    /// <summary>As a release before this one wrote it.</summary>
    public void AgeJournal()
    {
        foreach (var file in Directory.GetFiles(Path.Combine(_folder, "commands"), "*.command"))
        {
            var record = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(File.ReadAllText(file)[65..])!;
            foreach (var name in new[] { "began", "step", "undo" })
                record.Remove(name);
            var json = JsonSerializer.SerializeToUtf8Bytes(record);
            File.WriteAllText(file, $"{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(json))}\n"
                + $"{System.Text.Encoding.UTF8.GetString(json)}");
        }

        File.Delete(Path.Combine(_folder, "commands", "since"));
        Restart();
    }

    public void Dispose()
    {
        _runner.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    CommandRunner Runner() => new(
        new AgentOptions
        {
            Server = new Uri("http://localhost:9480"),
            Token = "t",
            Time = _bench.Clock,
            Handler = _door,
            Buffer = new BufferOptions { Folder = _folder },
            At = (step, _) =>
            {
                At(step);
                if (step != Dies)
                    return;
                Dies = null;
                throw new DeathException();
            },
        },
        NullLogger.Instance,
        [
            .. NodeActions.All.Select(a => a.Descriptor)
                .Where(d => d.Name is "disk.largest-directories" or "disk.clean-paths" or "disk.vacuum-journal")
                .Select(d => new CountingAction(this, d)),
        ]);

    // Of the kind that a runner never takes for an action's failure.
    sealed class DeathException : OperationCanceledException;

    sealed class CountingAction(JournalAgent agent, ActionDescriptor descriptor) : INodeAction
    {
        public ActionDescriptor Descriptor => descriptor;

        public string Allowance(NodePolicy? policy) => "";

        public async Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
        {
            if (!descriptor.Mutates)
                return new ActionReport(CommandOutcome.Succeeded, "measured");
            if (!await context.Guard.MayMutateAsync(cancellation))
                return new ActionReport(CommandOutcome.Refused, context.Guard.Refusal!);
            agent.Changes.Add((agent._bench.Now, descriptor.Name));
            if (agent.Helps && agent._bench.Signal is not null)
                agent._bench.Clear();
            return new ActionReport(CommandOutcome.Succeeded, "freed what it could");
        }
    }

    /// <summary>What stands between the runner and the stores is HTTP alone; the acceptance tests have that.</summary>
    sealed class Door(RemediationBench bench) : HttpMessageHandler
    {
        public List<JournalReport> Told { get; } = [];

        public bool IsOld { get; set; }

        protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            var body = await request.Content!.ReadAsStringAsync(cancellationToken);
            var (path, id) = (request.RequestUri!.Segments[^1], Uri.UnescapeDataString(request.RequestUri.Segments[^2].TrimEnd('/')));
            var sender = RemediationBench.Node;
            switch (path)
            {
                case "lease" when !IsOld
                    && await bench.Host.Agents.JournalWantedAsync(sender, TestContext.Current.CancellationToken) is { } generation:
                    var answer = new HttpResponseMessage(HttpStatusCode.NoContent);
                    answer.Headers.Add(AgentProtocol.TellJournal, generation);
                    return answer;
                case "lease":
                    return Json(
                        (await bench.Host.Agents.LeaseAsync(sender, bench.Now, TestContext.Current.CancellationToken))
                            .Select(CommandStore.ToLeased).ToList(),
                        AgentProtocolJson.Default.ListLeasedCommand);
                case "begin":
                    var asked = JsonSerializer.Deserialize(body, AgentProtocolJson.Default.BeginRequest)!;
                    return await bench.Host.BeginAsync(sender, id, asked.Token, TestContext.Current.CancellationToken) is { } permit
                        ? Json(permit, AgentProtocolJson.Default.BeginAnswer)
                        : new(HttpStatusCode.NotFound);
                case "result":
                    return new(await bench.Host.Agents.FinishAsync(
                        sender, id, JsonSerializer.Deserialize(body, AgentProtocolJson.Default.CommandResult)!,
                        TestContext.Current.CancellationToken) ? HttpStatusCode.NoContent : HttpStatusCode.NotFound);
                case "journal":
                    Told.Add(JsonSerializer.Deserialize(body, AgentProtocolJson.Default.JournalReport)!);
                    return new(await bench.Host.Agents.TakeJournalAsync(sender, Told[^1], bench.Now, TestContext.Current.CancellationToken)
                        ? HttpStatusCode.NoContent
                        : HttpStatusCode.Conflict);
                default:
                    return new(HttpStatusCode.NotFound);
            }
        }

        static HttpResponseMessage Json<T>(T value, JsonTypeInfo<T> type) =>
            new(HttpStatusCode.OK) { Content = new StringContent(JsonSerializer.Serialize(value, type), null, "application/json") };
    }
}
