using System.CommandLine;
using System.Text.Json;

namespace Whistle.Commands;

/// <summary>What the server does when it is due.</summary>
static class JobsCommand
{
    const string Root = "api/whistle/v1/jobs";

    static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);

    static readonly Argument<string> Name = new("name") { Description = "As the list has it." };
    static readonly string[] Header = ["NAME", "SCHEDULE", "LAST RUN", "ENDED", "OUTCOME", "NEXT RUN", "INSTANCE", "WHAT"];

    public static Command Build() => new("jobs", "Lists and runs what the server does when it is due.")
    {
        ServerConnection.WithList(
            new Command("list", "Lists the jobs with their schedule (cron, in UTC), the latest run and the next."), Root, Table),
        ServerConnection.With(
            new Command("run", "Runs a job now and waits for its end. Its schedule stays.") { Name },
            (arguments, server, cancellation) => RunAsync(arguments.GetValue(Name)!, server, cancellation)),
    };

    static async Task RunAsync(string name, ServerConnection server, CancellationToken cancellation)
    {
        var run = await server.PostAsync($"{Root}/{ServerConnection.Part(name)}/run", null, cancellation);
        var begun = run.Text("startedAt");
        while (run.Text("startedAt") == begun && run.Text("endedAt").Length == 0)
        {
            await Task.Delay(Look, TimeProvider.System, cancellation);
            run = (await server.GetAsync(Root, cancellation)).EnumerateArray().First(j => j.Text("name") == name);
        }

        // It has begun again where another run took its row.
        if (run.Text("startedAt") == begun && run.Text("outcome") != "done")
            throw new CommandException($"The job {name} {run.Text("outcome")}: {run.Text("reason")}".TrimEnd(':', ' '));
        Console.WriteLine($"The job {name} is done.");
    }

    static Listing Table(JsonElement jobs, View view) => new(Header, [.. jobs.EnumerateArray().Select(j => new[]
    {
        j.Text("name"), j.Text("schedule"), j.Time("startedAt", view), j.Time("endedAt", view), j.Text("outcome"), j.Time("nextAt", view),
        j.Text("instance"), j.Text("description"),
    })])
    {
        Wide = ["ENDED", "INSTANCE", "WHAT"],
        Empty = "There are no jobs.",
    };
}
