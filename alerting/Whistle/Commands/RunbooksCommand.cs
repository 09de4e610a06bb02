using System.CommandLine;
using System.Text.Json;

using Whistle.Remediation.Runbooks;

namespace Whistle.Commands;

/// <summary>What Whistle can do about what is broken.</summary>
static class RunbooksCommand
{
    static readonly Argument<string[]> Files = new("file") { Description = "Files, and folders of them.", Arity = ArgumentArity.OneOrMore };

    static readonly string[] Header = ["NAME", "MODE", "FILE", "SUMMARY"];

    public static Command Build()
    {
        var check = new Command("check", "Reads runbooks as a server would, and says what is wrong with them. Needs no server.") { Files };
        check.SetAction(arguments => Check(arguments.GetValue(Files)!));
        return new("runbooks", "Lists and checks runbooks.")
        {
            ServerConnection.With(new Command("list", "Lists the runbooks in force.") { JsonOutput.Option }, async (arguments, server, cancellation) =>
                JsonOutput.Write(arguments, await server.GetAsync("api/whistle/v1/runbooks", cancellation), Print)),
            check,
        };
    }

    static int Check(string[] files)
    {
        var (runbooks, errors) = RunbookSet.Load(files);
        foreach (var error in errors)
            Console.Error.WriteLine(error);
        if (runbooks is { Runbooks.Count: 0 })
            Console.Error.WriteLine("There is no *.yaml or *.yml file in it.");
        if (runbooks is not { Runbooks: { Count: > 0 } good })
            return 1;
        Console.WriteLine($"Good: {string.Join(", ", good.Select(r => r.Name))}.");
        return 0;
    }

    static void Print(JsonElement runbooks)
    {
        if (runbooks.GetArrayLength() == 0)
            Console.WriteLine("There is no runbook. Name a folder of them with `whistle serve --runbooks`.");
        else
            ConsoleTable.Write(Header, runbooks.EnumerateArray().Select(r => new[] { r.Text("name"), r.Text("mode"), r.Text("file"), r.Text("summary") }), ["SUMMARY"], StateColours.Of);
    }
}
