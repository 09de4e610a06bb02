namespace Whistle.Access;

/// <summary>How to get a login link on the machine that runs the server.</summary>
static class LoginLine
{
    /// <summary>The whole command, to be copied.</summary>
    public static string Of(Uri server, string dataFolder) =>
        $"whistle login --server {server.GetLeftPart(UriPartial.Authority)} --data {Quoted(dataFolder)}";

    static string Quoted(string path) => path.All(c => char.IsAsciiLetterOrDigit(c) || c is '/' or '.' or '-' or '_')
        ? path
        : $"'{path.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
