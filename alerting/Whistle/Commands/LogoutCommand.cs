using System.CommandLine;

namespace Whistle.Commands;

static class LogoutCommand
{
    // Said in full, because it is not the caller's session that ends: the command line has none.
    static readonly Option<bool> All = new("--all") { Description = "Every session, on whatever machine it is." };

    public static Command Build() =>
        ServerConnection.With(new Command("logout", "Ends the dashboard's sessions.") { All }, async (arguments, server, cancellation) =>
        {
            if (!arguments.GetValue(All) && !await AskAsync(cancellation))
                throw new CommandException("No session was ended.");
            var ended = (await server.DeleteAsync("api/whistle/v1/sessions", cancellation)).GetProperty("ended").GetInt32();
            Console.WriteLine(ended == 1 ? "1 session has ended." : $"{ended} sessions have ended.");
        });

    static Task<bool> AskAsync(CancellationToken cancellation) => Terminal.CanAsk
        ? Terminal.ConfirmAsync("End every session, on whatever machine it is?", cancellation)
        : throw new UsageException("This ends every session, on whatever machine it is. Say so with --all.");
}
