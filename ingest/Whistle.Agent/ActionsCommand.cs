using System.CommandLine;
using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;
using Whistle.Agent.Running;
using Whistle.Agent.Settings;

namespace Whistle.Agent;

/// <summary>Shows what the server may have this node do, and tries it without doing it.</summary>
static class ActionsCommand
{
    public static Command Make(Option<string?> policy, Option<string?> folder, Option<string?> buffer)
    {
        var command = new Command(
            "actions", "Lists the actions with what this node's policy allows. Example: whistle-agent actions") { policy, folder, buffer,
            Run(policy, folder, buffer) };
        command.SetAction(parsed => List(Options(parsed, policy, folder, buffer)));
        return command;
    }

    static Command Run(Option<string?> policy, Option<string?> folder, Option<string?> buffer)
    {
        var name = new Argument<string>("name") { Description = "Such as disk.clean-paths." };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only report what would be done." };
        var parameters = new Option<string>("--parameters")
        {
            Description = "A JSON object of the action's own shape.",
            DefaultValueFactory = _ => "{}",
        };
        var command = new Command(
            "run", "Runs one action here, in dry run unless it only reads. Example: whistle-agent actions run disk.clean-paths --dry-run")
            { name, dryRun, parameters, policy, folder, buffer };
        command.SetAction((parsed, cancellation) =>
            RunAsync(
                parsed.GetValue(name)!, parsed.GetValue(dryRun), parsed.GetValue(parameters)!,
                Options(parsed, policy, folder, buffer), cancellation));
        return command;
    }

    static AgentOptions Options(
        ParseResult parsed, Option<string?> policy, Option<string?> folder, Option<string?> buffer) => new()
        {
            PolicyFile = parsed.GetValue(policy),
            Buffer = new BufferOptions { Folder = parsed.GetValue(buffer) ?? Path.Combine(parsed.GetValue(folder)!, "buffer") },
        };

    static int List(AgentOptions options)
    {
        var policy = NodePolicy.Read(options.PolicyFile, options.Protected, out var refusal);
        foreach (var action in NodeActions.All)
        {
            Console.WriteLine($"{action.Descriptor.Name,-26} {action.Descriptor.Summary}");
            Console.WriteLine($"{"",-26} {(policy is null && action.Descriptor.Mutates ? "refused" : action.Allowance(policy))}");
        }

        if (refusal is not null)
            Console.Error.WriteLine(refusal);
        return 0;
    }

    static async Task<int> RunAsync(string name, bool dryRun, string text, AgentOptions options, CancellationToken cancellation)
    {
        if (NodeActions.All.FirstOrDefault(a => a.Descriptor.Name == name) is not { } action)
            return Refuse($"There is no action {name}. There are {string.Join(", ", NodeActions.All.Select(a => a.Descriptor.Name))}.");
        if (action.Descriptor.Mutates && !dryRun)
            return Refuse($"{name} changes the node, which needs the server's permit. Add --dry-run to see what it would do.");
        JsonDocument parameters;
        try
        {
            parameters = JsonDocument.Parse(text, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException e)
        {
            return Refuse($"The parameters are not JSON: {e.Message}");
        }

        using (parameters)
        {
            var context = CommandRunner.Context(options, dryRun, MutationGuard.Closed(options.Time));
            var report = await action.RunAsync(parameters.RootElement, context, cancellation).ConfigureAwait(false);
            if (report.Output is { } output)
                Console.WriteLine(output.GetRawText());
            await Console.Error.WriteLineAsync(report.Summary).ConfigureAwait(false);
            return report.Outcome == CommandOutcome.Succeeded ? 0 : AgentCommand.Failed;
        }
    }

    static int Refuse(string reason)
    {
        Console.Error.WriteLine(reason);
        return AgentCommand.Usage;
    }
}
