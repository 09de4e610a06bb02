namespace Whistle.Detectors.Templates;

/// <summary>Recursive descent over Go's template notation: text and actions. Pipelines are in the other part.</summary>
sealed partial class TemplateParser(string text)
{
    const int MaxDepth = 100;

    static readonly char[] Blanks = [' ', '\t', '\r', '\n'];

    readonly List<string> _variables = ["$", "$labels", "$externalLabels", "$externalURL", "$value"];

    int _at;
    int _depth;
    int _loops;
    int _withs;
    bool _trimNext;

    enum End
    {
        Text,
        End,
        Else,
    }

    public bool ReadsValue { get; private set; }

    public bool Queries { get; private set; }

    public Statement Parse()
    {
        var (block, end, at) = Block();
        return end is End.Text ? block : throw new TemplateException(
            at, $"\"{end.ToString().ToLowerInvariant()}\" without an action that it belongs to");
    }

    // To the end of the text, or to an end or else, of which the closing braces are left.
    (BlockStatement Block, End End, int At) Block()
    {
        var statements = new List<Statement>();
        while (_at < text.Length)
        {
            var open = text.IndexOf("{{", _at, StringComparison.Ordinal);
            statements.Add(Plain(open < 0 ? text.Length : open));
            if (open < 0)
                break;
            Space();
            var start = _at;
            if (Takes("end"))
                return (new(statements), End.End, start);
            if (Takes("else"))
                return (new(statements), End.Else, start);
            if (Action() is { } statement)
                statements.Add(statement);
            _trimNext = Close();
        }

        return (new(statements), End.Text, text.Length);
    }

    // The text up to an action, whose opening is passed over too.
    TextStatement Plain(int end)
    {
        var plain = text[_at..end];
        if (_trimNext)
            plain = plain.TrimStart(Blanks);
        _trimNext = false;
        _at = Math.Min(end + 2, text.Length);
        if (At('-') && _at + 1 < text.Length && char.IsWhiteSpace(text[_at + 1]))
        {
            plain = plain.TrimEnd(Blanks);
            _at++;
        }

        return new TextStatement(plain);
    }

    Statement? Action()
    {
        if (text.AsSpan(_at).StartsWith("/*"))
        {
            var end = text.IndexOf("*/", _at, StringComparison.Ordinal);
            _at = end < 0 ? throw Error("the comment is not closed") : end + 2;
            return null;
        }

        var start = _at;
        return Word() switch
        {
            "if" => Deeper(() => If(isWith: false, start)),
            "with" => Deeper(() => If(isWith: true, start)),
            "range" => Deeper(() => Range(start)),
            "break" when _loops > 0 => new JumpStatement(Flow.Break),
            "continue" when _loops > 0 => new JumpStatement(Flow.Continue),
            "break" or "continue" => throw new TemplateException(start, $"\"{text[start.._at]}\" outside of range"),
            "define" or "template" or "block" =>
                throw new TemplateException(start, $"\"{text[start.._at]}\": named templates are not supported; write the text in place"),
            _ => Set(start),
        };
    }

    Statement Set(int start)
    {
        _at = start;
        if (Declaration() is not { } target)
            return new PrintStatement(Pipeline());
        var value = Pipeline();
        if (target.Declares)
            _variables.Add(target.Name);
        return new SetStatement(target.Name, target.Declares, value);
    }

    IfStatement If(bool isWith, int start)
    {
        var known = _variables.Count;
        var variable = Declaration();
        if (variable is { Declares: false })
            throw Error("write := for the variable of an action");
        var subject = Pipeline();
        if (variable is { } declared)
            _variables.Add(declared.Name);
        _trimNext = Close();
        _withs += isWith ? 1 : 0;
        var (then, end, _) = Block();
        _withs -= isWith ? 1 : 0;
        Statement otherwise = BlockStatement.Empty;
        if (end is End.Else)
        {
            var at = _at;
            if (Takes(isWith ? "with" : "if"))
                (otherwise, end) = (Deeper(() => If(isWith, at)), End.End);
            else
                (otherwise, end) = Else();
        }

        Ended(end, isWith ? "with" : "if", start);
        _variables.RemoveRange(known, _variables.Count - known);
        return new(isWith, variable?.Name, subject, then, otherwise);
    }

    RangeStatement Range(int start)
    {
        var known = _variables.Count;
        var (key, item) = RangeVariables();
        var subject = Pipeline();
        _variables.AddRange(new[] { key, item }.OfType<string>());
        _trimNext = Close();
        _loops++;
        var (body, end, _) = Block();
        _loops--;
        Statement otherwise = BlockStatement.Empty;
        if (end is End.Else)
            (otherwise, end) = Else();
        Ended(end, "range", start);
        _variables.RemoveRange(known, _variables.Count - known);
        return new(key, item, subject, body, otherwise);
    }

    (Statement Block, End End) Else()
    {
        _trimNext = Close();
        var (block, end, at) = Block();
        return end is End.Else ? throw new TemplateException(at, "a second \"else\" of the same action") : (block, end);
    }

    // One variable is the item, two are the key and the item.
    (string? Key, string? Item) RangeVariables()
    {
        var start = _at;
        Space();
        if (At('$'))
        {
            var first = VariableName();
            Space();
            if (At(','))
            {
                _at++;
                Space();
                var second = At('$') ? VariableName() : throw Error("a second variable is missing after the comma");
                return Takes(":=") ? (first, second) : throw Error(":= is missing after the variables");
            }

            if (Takes(":="))
                return (null, first);
        }

        _at = start;
        return (null, null);
    }

    // "$x :=" or "$x ="; else nothing is passed over.
    (string Name, bool Declares)? Declaration()
    {
        Space();
        var start = _at;
        if (At('$') && VariableName() is { Length: > 1 } name)
        {
            if (Takes(":="))
                return (name, true);
            if (Takes("="))
                return _variables.Contains(name) ? (name, false) : throw Unknown(name, start);
        }

        _at = start;
        return null;
    }

    static void Ended(End end, string action, int start)
    {
        if (end is not End.End)
            throw new TemplateException(start, $"the action \"{action}\" is not ended by {{{{ end }}}}");
    }

    T Deeper<T>(Func<T> parse)
    {
        if (++_depth > MaxDepth)
            throw Error("nested too deeply");
        var parsed = parse();
        _depth--;
        return parsed;
    }

    T Shallow<T>(T expression) where T : Expression => expression.Depth <= MaxDepth ? expression : throw Error("nested too deeply");

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
}
