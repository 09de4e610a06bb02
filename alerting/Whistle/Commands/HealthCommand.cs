using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>What is wrong with the server itself. The exit code says how much, for scripts.</summary>
static class HealthCommand
{
    static readonly string[] Header = ["STATE", "COMPONENT", "SUBJECT", "SINCE", "REASON"];

    public static Command Build() => ServerConnection.With(
        new Command("health", $"Shows what is wrong with the server itself. Exits with {ExitCode.Fine} if nothing is or it only warns, "
            + $"{ExitCode.Degraded} if it is degraded, {ExitCode.Failed} if it has failed, "
            + $"{ExitCode.Unreachable} if it does not answer.").Lists(),
        async (arguments, server, cancellation) =>
        {
            var answer = await server.GetAsync("api/whistle/v1/health", cancellation);
            ListOutput.Write(arguments, answer, server.Now, view => Table(answer, view));
            return answer.Text("state") switch
            {
                "ok" or "warning" => ExitCode.Fine,
                "degraded" => ExitCode.Degraded,
                _ =>
                ExitCode.Failed
            };
        });

    static Listing Table(JsonElement answer, View view) => new(Header,
    [
        .. answer.Items("problems").Select(p => new[]
        {
            p.Text("state"), p.Text("component"), p.Text("subject"), p.Time("since", view), p.Text("reason"),
        }),
    ])
    {
        Details = ["SUBJECT", "REASON"],
        // Not everybody is told what it is.
        Empty = answer.Text("state") switch
        {
            "ok" => "The server is well.",
            "warning" => "The server warns of something. Whoever sees its whole health sees of what.",
            var state => $"The server is {state}. Whoever sees its whole health sees why.",
        },
    };
}
