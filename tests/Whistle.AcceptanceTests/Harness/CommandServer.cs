using System.Text.Json;
using System.Threading.Channels;

using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

using Whistle.Actions.Protocol;

namespace Whistle.AcceptanceTests;

/// <summary>
/// The agent's side of a server that permits whatever it is told to command, so that a test needs no signal, run and gate for it.
/// </summary>
sealed class CommandServer : IAsyncDisposable
{
    readonly WebApplication _app;
    readonly Channel<LeasedCommand> _commands = Channel.CreateUnbounded<LeasedCommand>();
    readonly Channel<CommandResult> _results = Channel.CreateUnbounded<CommandResult>();
    int _ids;

    CommandServer()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        _app = builder.Build();
        _app.Run(AnswerAsync);
    }

    public Uri Address => new(_app.Urls.First());

    public int Begins { get; private set; }

    public static async Task<CommandServer> StartAsync(CancellationToken cancellation)
    {
        var server = new CommandServer();
        await server._app.StartAsync(cancellation);
        return server;
    }

    /// <summary>Has the agent run one action; what it reports.</summary>
    public async Task<CommandResult> RunAsync(string action, string parameters, bool dryRun, CancellationToken cancellation)
    {
        using var json = JsonDocument.Parse(parameters);
        await _commands.Writer.WriteAsync(new LeasedCommand($"c{++_ids}", 1, action, json.RootElement.Clone(), dryRun, 600), cancellation);
        return await _results.Reader.ReadAsync(cancellation);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    async Task AnswerAsync(HttpContext context)
    {
        switch (context.Request.Path.Value!.Split('/')[^1])
        {
            case "lease":
                await LeaseAsync(context);
                break;
            case "begin":
                Begins++;
                await context.Response.WriteAsJsonAsync(new BeginAnswer(true, 10, null), AgentProtocolJson.Default.BeginAnswer);
                break;
            case "result":
                var result = await JsonSerializer.DeserializeAsync(
                    context.Request.Body, AgentProtocolJson.Default.CommandResult, context.RequestAborted);
                await _results.Writer.WriteAsync(result!, context.RequestAborted);
                break;
            default:
                // A report; its way is not this server's matter.
                context.Response.StatusCode = StatusCodes.Status204NoContent;
                break;
        }
    }

    async Task LeaseAsync(HttpContext context)
    {
        try
        {
            List<LeasedCommand> leased = [await _commands.Reader.ReadAsync(context.RequestAborted)];
            await context.Response.WriteAsJsonAsync(leased, AgentProtocolJson.Default.ListLeasedCommand);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The agent has gone.
        }
    }
}
