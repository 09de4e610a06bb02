using System.CommandLine;

namespace Whistle.Commands;

static class LoginCommand
{
    /// <summary>The whole command, to be copied.</summary>
    public static string Line(Uri server, string dataFolder) => $"whistle login --server {server.GetLeftPart(UriPartial.Authority)} --data {Quoted(dataFolder)}";

    static string Quoted(string path) => path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_') ? path : $"'{path.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    public static Command Build() => ServerConnection.With(new Command("login", "Prints a link that opens the dashboard once."), async (_, server, cancellation) =>
    {
        PrivateOutput.Close();
        Console.WriteLine((await server.PostAsync("api/whistle/v1/login-links", null, cancellation)).GetProperty("url").GetString());
    });
}
