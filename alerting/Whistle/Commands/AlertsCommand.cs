using System.CommandLine;

namespace Whistle.Commands;

static class AlertsCommand
{
    public static Command Build() => ServerConnection.With(new Command("alerts", "Lists what is wrong now, or was about to be."), async (_, server, cancellation) =>
        Console.WriteLine(await server.GetAsync("api/v1/alerts", cancellation)));
}
