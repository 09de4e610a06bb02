namespace Whistle.PromQL;

enum TokenKind
{
    End,
    Identifier,
    Number,
    Duration,
    String,
    LeftParen,
    RightParen,
    LeftBrace,
    RightBrace,
    LeftBracket,
    RightBracket,
    Comma,
    Assign,
    Operator,
    MatchRegex,
    NotMatchRegex,
    At,
    Colon,
}

/// <summary><paramref name="Text"/> is the source text, quotes of a string included.</summary>
readonly record struct Token(TokenKind Kind, int Position, string Text)
{
    public bool Is(string keyword) => Kind == TokenKind.Identifier && Text.Equals(keyword, StringComparison.OrdinalIgnoreCase);

    public override string ToString() =>
        Kind == TokenKind.End ? "the end of the expression" : $"\"{(Text.Length > 40 ? Text[..40] + "…" : Text)}\"";
}

/// <summary>Cuts an expression into tokens on demand. Keywords are identifiers here: where they are keywords, the parser knows.</summary>
sealed class Lexer(string text)
{
    int _position;
    // A colon is part of a metric name, but between brackets it divides a subquery's range from its step.
    bool _insideBrackets;

    public Token Next()
    {
        SkipSpaceAndComments();
        if (_position == text.Length)
            return new Token(TokenKind.End, _position, "");
        var c = text[_position];
        if (char.IsAsciiDigit(c) || (c == '.' && char.IsAsciiDigit(Peek(1))))
            return NumberOrDuration();
        if (char.IsAsciiLetter(c) || c == '_' || (c == ':' && !_insideBrackets))
            return Take(TokenKind.Identifier, LengthWhile(static c => char.IsAsciiLetterOrDigit(c) || c is '_' or ':'));
        if (c is '"' or '\'' or '`')
            return Take(TokenKind.String, StringLength(c));
        return Punctuation(c);
    }

    Token Punctuation(char c)
    {
        switch (c)
        {
            case '(': return Take(TokenKind.LeftParen, 1);
            case ')': return Take(TokenKind.RightParen, 1);
            case '{': return Take(TokenKind.LeftBrace, 1);
            case '}': return Take(TokenKind.RightBrace, 1);
            case '[':
                _insideBrackets = true;
                return Take(TokenKind.LeftBracket, 1);
            case ']':
                _insideBrackets = false;
                return Take(TokenKind.RightBracket, 1);
            case ',': return Take(TokenKind.Comma, 1);
            case '@': return Take(TokenKind.At, 1);
            case ':': return Take(TokenKind.Colon, 1);
            case '+' or '-' or '*' or '/' or '%' or '^': return Take(TokenKind.Operator, 1);
            case '=' when Peek(1) == '~': return Take(TokenKind.MatchRegex, 2);
            case '!' when Peek(1) == '~': return Take(TokenKind.NotMatchRegex, 2);
            case '=' or '!' or '<' or '>' when Peek(1) == '=': return Take(TokenKind.Operator, 2);
            case '<' or '>': return Take(TokenKind.Operator, 1);
            case '=': return Take(TokenKind.Assign, 1);
            default: throw Error($"unexpected character {Describe(c)}", _position);
        }
    }

    Token NumberOrDuration()
    {
        var length = NumberLength();
        var rest = LengthWhile(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' || (c == ':' && !_insideBrackets), length);
        if (rest == length && IsNumber(text.AsSpan(_position, length)))
            return Take(TokenKind.Number, length);
        var whole = LengthWhile(static c => char.IsAsciiLetterOrDigit(c));
        if (whole == rest && Durations.TryParse(text.AsSpan(_position, whole), out _))
            return Take(TokenKind.Duration, whole);

        throw Error(
            $"bad number or duration \"{text.AsSpan(_position, rest)}\": write for example 15, 1.5e3, 0x1f, 90s or 1h30m", _position);
    }

    // Underscores stand between digits only; 0x needs a digit.
    static bool IsNumber(ReadOnlySpan<char> number) =>
        !number.EndsWith("_") && !number.Contains("__", StringComparison.Ordinal)
            && !number.EndsWith("x", StringComparison.OrdinalIgnoreCase);

    int NumberLength()
    {
        if (text[_position] == '0' && Peek(1) is 'x' or 'X')
            return LengthWhile(static c => char.IsAsciiHexDigit(c) || c == '_', 2);
        var length = LengthWhile(static c => char.IsAsciiDigit(c) || c == '_');
        if (Peek(length) == '.')
            length = LengthWhile(char.IsAsciiDigit, length + 1);
        if (Peek(length) is 'e' or 'E')
        {
            var digits = length + (Peek(length + 1) is '+' or '-' ? 2 : 1);
            if (char.IsAsciiDigit(Peek(digits)))
                length = LengthWhile(static c => char.IsAsciiDigit(c) || c == '_', digits);
        }

        return length;
    }

    int StringLength(char quote)
    {
        for (var i = _position + 1; i < text.Length; i++)
        {
            if (text[i] == quote)
                return i + 1 - _position;
            if (quote == '`')
                continue;
            if (text[i] == '\n')
                break;
            if (text[i] == '\\')
                i++;
        }

        throw Error($"the string that starts here is not closed: expected {quote}", _position);
    }

    void SkipSpaceAndComments()
    {
        while (_position < text.Length)
        {
            if (text[_position] is ' ' or '\t' or '\r' or '\n')
                _position++;
            else if (text[_position] == '#')
                _position += LengthWhile(static c => c != '\n');
            else
                break;
        }
    }

    char Peek(int ahead) => _position + ahead < text.Length ? text[_position + ahead] : '\0';

    int LengthWhile(Func<char, bool> belongs, int from = 0)
    {
        var i = _position + from;
        while (i < text.Length && belongs(text[i]))
            i++;
        return i - _position;
    }

    Token Take(TokenKind kind, int length)
    {
        var token = new Token(kind, _position, text.Substring(_position, length));
        _position += length;
        return token;
    }

    static string Describe(char c) => char.IsControl(c) ? $"U+{(int)c:X4}" : $"'{c}'";

    PromQLException Error(string message, int position) => new(message, text, position);
}
