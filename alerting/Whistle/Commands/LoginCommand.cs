using System.CommandLine;

namespace Whistle.Commands;

static class LoginCommand
{
    public static Command Build() =>
        ServerConnection.With(new Command("login", "Prints a link that opens the dashboard once."), async (_, server, cancellation) =>
        {
            PrivateOutput.Close();
            Console.WriteLine((await server.PostAsync("api/whistle/v1/login-links", null, cancellation)).GetProperty("url").GetString());
        });
}
