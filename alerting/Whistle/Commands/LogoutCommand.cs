using System.CommandLine;

namespace Whistle.Commands;

static class LogoutCommand
{
    // Said in full, because it is not the caller's session that ends: the command line has none.
    static readonly Option<bool> All = new("--all") { Description = "Every session, on whatever machine it is." };

    public static Command Build() => ServerConnection.With(new Command("logout", "Ends the dashboard's sessions.") { All }, async (arguments, server, cancellation) =>
    {
        if (!arguments.GetValue(All))
            throw new CommandException("This ends every session, on whatever machine it is. Say so with --all.");
        var ended = (await server.DeleteAsync("api/whistle/v1/sessions", cancellation)).GetProperty("ended").GetInt32();
        Console.WriteLine(ended == 1 ? "1 session has ended." : $"{ended} sessions have ended.");
    });
}
