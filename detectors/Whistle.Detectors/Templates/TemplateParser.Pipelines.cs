using System.Globalization;
using System.Text;

using Whistle.Detectors.Expressions;
using Whistle.PromQL;
using Whistle.Telemetry;

namespace Whistle.Detectors.Templates;

/// <content>Pipelines, their operands and their notation.</content>
sealed partial class TemplateParser
{
    Expression Pipeline()
    {
        var value = Command(null);
        for (Space(); At('|'); Space())
        {
            _at++;
            value = Command(value);
        }

        return value;
    }

    // The piped value is the last argument, as in Go.
    Expression Command(Expression? piped)
    {
        Space();
        var start = _at;
        if (Letter() && Word() is var name && name is not ("true" or "false" or "nil"))
            return Call(name, start, piped, takesArguments: true);
        _at = start;
        if (piped is not null)
            throw Error("only a function can take a piped value");
        return Operand() ?? throw Error("a value or a function is missing");
    }

    Expression Call(string name, int start, Expression? piped, bool takesArguments)
    {
        var arguments = new List<Expression>();
        for (Space(); takesArguments; Space())
        {
            var at = _at;
            if (Operand() is not { } argument)
                break;
            arguments.Add(arguments.Count == 0 && argument is Literal { Value: string literal } ? Checked(name, literal, at) : argument);
        }

        if (piped is not null)
            arguments.Add(piped);
        Queries |= name == "query";
        ReadsValue |= name == "query";
        if (name is "and" or "or" && arguments.Count > 0)
            return Shallow(new LogicExpression(name == "and", arguments));
        if (TemplateFunctions.ForConsoles.Contains(name))
            throw new TemplateException(start, $"the function \"{name}\" is for console pages only");
        if (!TemplateFunctions.All.TryGetValue(name, out var function))
            throw new TemplateException(
                start,
                $"unknown function \"{name}\"; known are {string.Join(", ", TemplateFunctions.All.Keys.Order(StringComparer.Ordinal))}");
        if (arguments.Count < function.Least || arguments.Count > function.Most)
            throw new TemplateException(start, $"the function \"{name}\" does not take {arguments.Count} arguments");
        return Shallow(new CallExpression(function.Body, arguments));
    }

    // The first argument of a function.
    static Literal Checked(string function, string text, int at)
    {
        try
        {
            if (function == "query")
                RuleExpression.Parse(text);
            return new(function is "match" or "reReplaceAll" ? new GoSearch(text) : text);
        }
        catch (PromQLException e)
        {
            throw new TemplateException(at, $"in the query: {e.Message}");
        }
        catch (ArgumentException e)
        {
            throw new TemplateException(at, e.Message);
        }
    }

    Expression? Operand()
    {
        Space();
        if (_at >= text.Length)
            return null;
        var start = _at;
        Expression? value = text[_at] switch
        {
            '$' => Variable(),
            '.' => Dot(),
            '"' => new Literal(Quoted()),
            '`' => new Literal(Raw()),
            '\'' => new Literal((long)Character()),
            '(' => Deeper(Parenthesised),
            '-' or '+' when _at + 1 < text.Length && char.IsAsciiDigit(text[_at + 1]) => Number(),
            var c when char.IsAsciiDigit(c) => Number(),
            _ when Letter() => Named(),
            _ => null,
        };
        while (value is not null && text[start] is '$' or '.' or '(' && _at + 1 < text.Length && text[_at] == '.'
            && (char.IsLetter(text[_at + 1]) || text[_at + 1] == '_'))
        {
            _at++;
            value = Field(value, Word());
        }

        // A data that goes on whole, or the dot of a loop, may hold the value.
        ReadsValue |= value is DotExpression or VariableExpression { Name: "$" or "$value" };
        return value;
    }

    FieldExpression Field(Expression of, string name)
    {
        ReadsValue |= name == "Value";
        return Shallow(new FieldExpression(of, name));
    }

    Expression Parenthesised()
    {
        _at++;
        var value = Pipeline();
        Space();
        if (!At(')'))
            throw Error("a closing parenthesis is missing");
        _at++;
        return value;
    }

    Expression Named()
    {
        var start = _at;
        return Word() switch
        {
            "true" => new Literal(true),
            "false" => new Literal(false),
            "nil" => new Literal(null),
            var name => Call(name, start, null, takesArguments: false),
        };
    }

    VariableExpression Variable()
    {
        var start = _at;
        var name = VariableName();
        return _variables.Contains(name) ? new(name) : throw Unknown(name, start);
    }

    Expression Dot()
    {
        var start = _at++;
        if (!Letter())
            return new DotExpression();
        var name = Word();
        // Where nothing has changed the dot it is the alert's data, whose fields are known.
        return _loops + _withs > 0 || name is "Labels" or "Value" or "ExternalLabels" or "ExternalURL"
            ? Field(new DotExpression(), name)
            : throw new TemplateException(start, $"unknown field \".{name}\"; known are .Labels, .Value, .ExternalLabels and .ExternalURL");
    }

    TemplateException Unknown(string name, int at) =>
        new(at, $"unknown variable \"{name}\"; known are {string.Join(", ", _variables.Skip(1).Distinct().Order(StringComparer.Ordinal))}");

    string VariableName()
    {
        _at++;
        return "$" + Word();
    }

    Literal Number()
    {
        var start = _at++;
        while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] is '.' or '_'
            || (text[_at] is '+' or '-' && text[_at - 1] is 'e' or 'E')))
            _at++;
        var digits = text[start.._at].Replace("_", "", StringComparison.Ordinal);
        if (digits.StartsWith("0x", StringComparison.OrdinalIgnoreCase)
            && long.TryParse(digits.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var hex))
            return new Literal(hex);
        // As in Go, a zero before other digits makes them octal.
        if (digits.TrimStart('+', '-') is ['0', _, ..] octal && octal.All(char.IsAsciiDigit))
        {
            return octal.Length <= 21 && octal.All(d => d < '8')
                ? new Literal(Convert.ToInt64(octal, 8) * (digits[0] == '-' ? -1 : 1))
                : throw new TemplateException(start, $"\"{text[start.._at]}\" is not an octal number, as the 0 before it says");
        }

        if (long.TryParse(digits, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole))
            return new Literal(whole);
        return double.TryParse(digits, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && double.IsFinite(value)
            ? new Literal(value)
            : throw new TemplateException(start, $"\"{text[start.._at]}\" is not a number");
    }

    string Quoted()
    {
        var start = _at++;
        var value = new StringBuilder();
        while (_at < text.Length && text[_at] is not ('"' or '\n'))
            AppendCharacter(value);
        if (!At('"'))
            throw new TemplateException(start, "the string is not closed");
        _at++;
        return value.ToString();
    }

    string Raw()
    {
        var start = _at;
        var end = text.IndexOf('`', start + 1);
        _at = end < 0 ? throw new TemplateException(start, "the string is not closed") : end + 1;
        return text[(start + 1)..end];
    }

    int Character()
    {
        var start = _at++;
        var value = new StringBuilder();
        if (_at < text.Length && text[_at] is not ('\'' or '\n'))
            AppendCharacter(value);
        if (value.Length == 0 || !At('\''))
            throw new TemplateException(start, "a character is one sign between '");
        _at++;
        return value.Length == 2 && char.IsSurrogatePair(value[0], value[1]) ? char.ConvertToUtf32(value[0], value[1]) : value[0];
    }

    void AppendCharacter(StringBuilder value)
    {
        if (char.IsSurrogatePair(text, _at))
            value.Append(text[_at++]);
        else if (text[_at] == '\\')
        {
            Escape(value);
            return;
        }

        value.Append(text[_at++]);
    }

    void Escape(StringBuilder value)
    {
        var start = _at++;
        var c = _at < text.Length ? text[_at++] : '\0';
        var (digits, radix) = c switch { 'x' => (2, 16), 'u' => (4, 16), 'U' => (8, 16), >= '0' and <= '7' => (3, 8), _ => (0, 0) };
        if (digits == 0)
        {
            var at = "abfnrtv\\\"'".IndexOf(c, StringComparison.Ordinal);
            value.Append(at < 0 ? throw new TemplateException(start, $"\"\\{c}\" is not an escape") : "\a\b\f\n\r\t\v\\\"'"[at]);
            return;
        }

        var from = radix == 8 ? _at - 1 : _at;
        _at = from + digits;
        if (_at > text.Length || text[from.._at].Any(d => !char.IsAsciiHexDigit(d) || (radix == 8 && d > '7')) ||
            !Rune.TryCreate((uint)Convert.ToUInt64(text[from.._at], radix), out var rune))
            throw new TemplateException(start, $"\"\\{c}\" needs {digits} digits of a character after it");
        value.Append(rune.ToString());
    }

    bool Letter() => _at < text.Length && (char.IsLetter(text[_at]) || text[_at] == '_');

    bool Takes(string word)
    {
        Space();
        if (!text.AsSpan(_at).StartsWith(word)
            || (char.IsLetter(word[0]) && _at + word.Length < text.Length && char.IsLetterOrDigit(text[_at + word.Length])))
            return false;
        _at += word.Length;
        return true;
    }

    string Word()
    {
        var start = _at;
        while (_at < text.Length && (char.IsLetterOrDigit(text[_at]) || text[_at] == '_'))
            _at++;
        return text[start.._at];
    }

    bool At(char c) => _at < text.Length && text[_at] == c;

    void Space()
    {
        while (_at < text.Length && char.IsWhiteSpace(text[_at]))
            _at++;
    }

    TemplateException Error(string message) => new(Math.Min(_at, text.Length), message);
}
