using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>What is wrong with the server itself. The exit code says how much, for scripts.</summary>
static class HealthCommand
{
    const int Degraded = 2;
    const int Failed = 3;

    static readonly string[] Header = ["STATE", "COMPONENT", "SUBJECT", "SINCE", "REASON"];

    public static Command Build() => ServerConnection.With(
        new Command("health", "Shows what is wrong with the server itself. Exits with 0 if nothing is or it only warns, 2 if it is degraded, 3 if it has failed, 1 if it does not answer.") { JsonOutput.Option },
        async (arguments, server, cancellation) =>
        {
            var answer = await server.GetAsync("api/whistle/v1/health", cancellation);
            JsonOutput.Write(arguments, answer, a => Print(a, server.Now));
            return answer.Text("state") switch { "ok" or "warning" => 0, "degraded" => Degraded, _ => Failed };
        });

    static void Print(JsonElement answer, DateTimeOffset now)
    {
        var rows = answer.Items("problems").Select(p => new[] { p.Text("state"), p.Text("component"), p.Text("subject"), p.Ago("since", now), p.Text("reason") }).ToList();
        if (rows.Count == 0)
            Console.WriteLine("The server is well.");
        else
            ConsoleTable.Write(Header, rows, ["SUBJECT", "REASON"], StateColours.Of);
    }
}
