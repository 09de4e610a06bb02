using System.CommandLine;
using System.CommandLine.Parsing;

namespace Whistle.Commands;

static class Address
{
    /// <summary>Null where neither the option nor the environment names one.</summary>
    public static Option<Uri?> Optional(string name, string description, string variable) => new(name)
    {
        Description = description,
        CustomParser = result => Parse(result),
        DefaultValueFactory = result => Environment.GetEnvironmentVariable(variable) is { Length: > 0 } text ? Parse(text, result) : null,
    };

    static Uri Parse(ArgumentResult result) => Parse(result.Tokens[0].Value, result);

    static Uri Parse(string text, SymbolResult result)
    {
        if (Uri.TryCreate(text, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
            return address;
        result.AddError($"\"{text}\" is not an address. Write it like http://127.0.0.1:9480.");
        return WhistleOptions.UsualAddress;
    }
}
