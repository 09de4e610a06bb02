using System.Text;
using System.Text.RegularExpressions;

namespace Whistle.Actions.Secrets;

/// <summary>
/// What may be shown of a command line: the program, the names of its options, and the values of options that are known to be harmless.
/// Whatever is not known may be a secret, so it goes.
/// </summary>
static partial class CommandLine
{
    const int LongestArgument = 4096;

    /// <param name="program">Its path or name, as <see cref="Program"/> lets it through.</param>
    /// <param name="arguments">Without the program itself.</param>
    public static string Show(string program, IEnumerable<string> arguments)
    {
        var text = new StringBuilder(program);
        var name = program[(program.LastIndexOf('/') + 1)..];
        string? option = null;
        foreach (var argument in arguments)
        {
            var shown = option is not null && HarmlessArguments.IsHarmless(name, option, argument) ? argument : Argument(name, argument);
            option = shown.StartsWith('-') && shown == argument ? argument : null;
            // One for any number of values in a row.
            if (shown != Redaction.Gone || !EndsWith(text, " " + Redaction.Gone))
                text.Append(' ').Append(shown);
        }

        return text.ToString();
    }

    /// <summary>
    /// The path or name of a program, or null where it may be anything else, such as a title that the process gave itself.
    /// </summary>
    public static string? Program(string text)
    {
        const string deleted = " (deleted)";
        text = text.EndsWith(deleted, StringComparison.Ordinal) ? text[..^deleted.Length] : text;
        return text.Length <= 128 && ProgramName().IsMatch(text) && Redaction.IsClean(text) ? text : null;
    }

    // --name, --name=value, -x and -xvalue. Of what begins with one dash only the first letter is surely a name: mysql has -pSECRET.
    static string Argument(string program, string argument)
    {
        if (argument.Length > LongestArgument || argument.Length < 2 || argument[0] != '-')
            return Redaction.Gone;
        var equals = argument.IndexOf('=');
        var option = equals < 0 ? argument : argument[..equals];
        if (equals >= 0 && HarmlessArguments.IsHarmless(program, option, argument[(equals + 1)..]))
            return argument;
        if (IsName(option) || HarmlessArguments.Knows(program, option))
            return equals < 0 ? option : $"{option}={Redaction.Gone}";
        return char.IsAsciiLetter(argument[1]) ? argument.Length == 2 ? argument : $"{argument[..2]}{Redaction.Gone}" : Redaction.Gone;
    }

    static bool IsName(string option) => option.Length <= 48 && OptionName().IsMatch(option) && Redaction.IsClean(option);

    static bool EndsWith(StringBuilder text, string end)
    {
        for (var i = 1; i <= end.Length; i++)
        {
            if (i > text.Length || text[^i] != end[^i])
                return false;
        }

        return true;
    }

    [GeneratedRegex(@"\A(?:/[A-Za-z0-9._+:@-]{1,64})*/?[A-Za-z0-9][A-Za-z0-9._+-]{0,63}\z")]
    private static partial Regex ProgramName();

    // Words, with a number behind at most: a random text has digits within.
    [GeneratedRegex(@"\A--[A-Za-z]{1,24}[0-9]{0,3}(?:[-_.](?:[A-Za-z]{1,24}[0-9]{0,3}|[0-9]{1,3}))*\z")]
    private static partial Regex OptionName();
}
