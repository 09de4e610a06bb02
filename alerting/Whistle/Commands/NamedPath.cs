using System.CommandLine;
using System.CommandLine.Parsing;

namespace Whistle.Commands;

/// <summary>What arguments and options have beyond their names.</summary>
static class NamedPath
{
    /// <summary>A path: an empty one, as an unset variable of a shell leaves it, is refused.</summary>
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

    /// <summary>Values that a shell completes. Whether another is good is for who gets it to say.</summary>
    public static Argument<T> Suggests<T>(this Argument<T> argument, params string[] values)
    {
        argument.CompletionSources.Add(values);
        return argument;
    }

    static void Check(SymbolResult result, string name)
    {
        if (result.Tokens.Any(t => t.Value.Length == 0))
            result.AddError($"{name}: the path is empty. Name a file or folder.");
    }
}
