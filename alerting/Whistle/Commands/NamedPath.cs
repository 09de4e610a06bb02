using System.CommandLine;
using System.CommandLine.Parsing;

namespace Whistle.Commands;

/// <summary>A path on the command line. An empty one, as an unset variable of a shell leaves it, is refused.</summary>
static class NamedPath
{
    public static Option<T> NotEmpty<T>(this Option<T> option)
    {
        option.Validators.Add(result => Check(result, option.Name));
        return option;
    }

    public static Argument<T> NotEmpty<T>(this Argument<T> argument)
    {
        argument.Validators.Add(result => Check(result, argument.Name));
        return argument;
    }

    static void Check(SymbolResult result, string name)
    {
        if (result.Tokens.Any(t => t.Value.Length == 0))
            result.AddError($"{name}: the path is empty. Name a file or folder.");
    }
}
