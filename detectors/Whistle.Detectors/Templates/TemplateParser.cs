using System.Globalization;
using System.Text;

namespace Whistle.Detectors.Templates;

/// <summary>Recursive descent over Go's template notation.</summary>
sealed class TemplateParser(string text)
{
    static readonly string[] Controls = ["if", "else", "end", "range", "with", "define", "template", "block", "break", "continue"];

    int _at;
    int _depth;
    bool _trimNext;

    public List<Node> Parse() => Nodes();

    // To the end of the text, or within a with to its end action, of which the closing braces are left.
    List<Node> Nodes()
    {
        var nodes = new List<Node>();
        while (_at < text.Length)
        {
            var open = text.IndexOf("{{", _at, StringComparison.Ordinal);
            nodes.Add(Plain(open < 0 ? text.Length : open));
            if (open < 0)
                break;
            if (_depth > 0 && Takes("end"))
                return nodes;
            if (Action() is { } node)
                nodes.Add(node);
            _trimNext = Close();
        }

        return _depth == 0 ? nodes : throw Error("the action \"with\" is not ended");
    }

    // The text up to an action, whose opening is passed over too.
    Literal Plain(int end)
    {
        var plain = text[_at..end];
        if (_trimNext)
            plain = plain.TrimStart();
        _trimNext = false;
        _at = Math.Min(end + 2, text.Length);
        if (At('-') && _at + 1 < text.Length && char.IsWhiteSpace(text[_at + 1]))
        {
            plain = plain.TrimEnd();
            _at++;
        }

        return new Literal(plain);
    }

    Node? Action()
    {
        Space();
        if (_at + 1 < text.Length && text[_at] == '/' && text[_at + 1] == '*')
        {
            var end = text.IndexOf("*/", _at, StringComparison.Ordinal);
            _at = end < 0 ? throw Error("the comment is not closed") : end + 2;
            return null;
        }

        return Takes("with") ? With() : Pipeline();
    }

    WithNode With()
    {
        var subject = Pipeline();
        _trimNext = Close();
        _depth++;
        var body = Nodes();
        _depth--;
        return new WithNode(subject, body);
    }

    bool Takes(string word)
    {
        Space();
        var start = _at;
        if (Word() == word)
            return true;
        _at = start;
        return false;
    }

    bool Close()
    {
        Space();
        var trim = At('-');
        if (trim)
            _at++;
        if (!text.AsSpan(_at).StartsWith("}}"))
            throw Error(_at >= text.Length ? "the action is not closed by }}" : $"unexpected \"{text[_at]}\"");
        _at += 2;
        return trim;
    }

    Node Pipeline()
    {
        var node = Command(null);
        for (Space(); At('|'); Space())
        {
            _at++;
            node = Command(node);
        }

        return node;
    }

    // The piped value is the last argument, as in Go.
    Node Command(Node? piped)
    {
        Space();
        var start = _at;
        if (_at < text.Length && char.IsAsciiLetter(text[_at]) && Word() is var name && name is not ("true" or "false" or "nil"))
            return Call(name, start, piped);
        _at = start;
        if (piped is not null)
            throw Error("only a function can take a piped value");
        return Operand() ?? throw Error("a value or a function is missing");
    }

    CallNode Call(string name, int start, Node? piped)
    {
        if (Controls.Contains(name))
            throw new TemplateException(start, $"the control action \"{name}\" is not supported; write the text without it");
        if (!TemplateFunctions.All.TryGetValue(name, out var function))
            throw new TemplateException(start, $"unknown function \"{name}\"; known are {string.Join(", ", TemplateFunctions.All.Keys.Order())}");
        var arguments = new List<Node>();
        while (Operand() is { } argument)
            arguments.Add(argument);
        if (piped is not null)
            arguments.Add(piped);
        if (arguments.Count < function.Least || arguments.Count > function.Most)
            throw new TemplateException(start, $"the function \"{name}\" does not take {arguments.Count} arguments");
        return new CallNode(function.Body, arguments);
    }

    Node? Operand()
    {
        Space();
        if (_at >= text.Length)
            return null;
        return text[_at] switch
        {
            '$' or '.' => Variable(),
            '"' or '`' => new Literal(Quoted()),
            '(' => Parenthesised(),
            '-' when _at + 1 < text.Length && char.IsAsciiDigit(text[_at + 1]) => Number(),
            var c when char.IsAsciiDigit(c) => Number(),
            _ => null,
        };
    }

    Node Parenthesised()
    {
        _at++;
        var node = Pipeline();
        Space();
        if (!At(')'))
            throw Error("a closing parenthesis is missing");
        _at++;
        return node;
    }

    Node Variable()
    {
        var start = _at++;
        var name = Word();
        if (text[start] == '.' && name.Length == 0 && _depth > 0)
            return new DotNode();
        var field = At('.') ? Field() : null;
        return (text[start], name) switch
        {
            ('$', "labels") or ('.', "Labels") => new LabelNode(field),
            ('$', "value") or ('.', "Value") when field is null => new ValueNode(),
            ('$', "externalLabels" or "externalURL") or ('.', "ExternalLabels" or "ExternalURL") => new Literal(""),
            _ => throw new TemplateException(start, $"unknown variable \"{text[start.._at]}\"; known are $labels.<name> and $value"),
        };
    }

    string Field()
    {
        _at++;
        var name = Word();
        return name.Length > 0 ? name : throw Error("a label name is missing after the dot");
    }

    Literal Number()
    {
        var start = _at++;
        while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] is '.' or '+' or '-'))
            _at++;
        return double.TryParse(text.AsSpan(start, _at - start), NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
            ? new Literal(value)
            : throw new TemplateException(start, $"\"{text[start.._at]}\" is not a number");
    }

    string Quoted()
    {
        var start = _at;
        var quote = text[_at++];
        var value = new StringBuilder();
        while (_at < text.Length && text[_at] != quote)
        {
            var c = text[_at++];
            if (c == '\\' && quote == '"' && _at < text.Length)
                c = Unescape(text[_at++]);
            value.Append(c);
        }

        if (_at++ >= text.Length)
            throw new TemplateException(start, "the string is not closed");
        return value.ToString();
    }

    static char Unescape(char c) => c switch
    {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        _ => c,
    };

    string Word()
    {
        var start = _at;
        while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] == '_'))
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
