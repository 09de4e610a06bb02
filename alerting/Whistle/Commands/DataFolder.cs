using System.CommandLine;

namespace Whistle.Commands;

static class DataFolder
{
    const string Variable = "WHISTLE_DATA";

    /// <summary>The option for the server's folder; where it is not given, the environment's or the usual one.</summary>
    public static Option<string> Option(string description) => new Option<string>("--data")
    {
        Description = description,
        DefaultValueFactory =
            _ => Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } folder ? folder : new WhistleOptions().DataFolder,
    }.NotEmpty();
}
