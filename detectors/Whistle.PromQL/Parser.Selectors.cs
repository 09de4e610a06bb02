using System.Globalization;
using System.Text;

using Whistle.Telemetry;

namespace Whistle.PromQL;

public sealed partial class Parser
{
    internal static bool IsPlainLabelName(string name) =>
        name.Length > 0 && !char.IsAsciiDigit(name[0]) && name.All(static c => char.IsAsciiLetterOrDigit(c) || c == '_');

    VectorSelector Selector(int position, string? name)
    {
        List<LabelMatcher> matchers = [];
        if (name is not null)
            matchers.Add(new LabelMatcher(Labels.MetricName, MatchOperator.Equal, name));
        if (_token.Kind == TokenKind.LeftBrace)
            Matchers(matchers, name is not null);
        // Otherwise it would select every series there is.
        if (matchers.All(static m => m.IsMatch("")))
            throw Error("a selector needs at least one matcher that does not match the empty string", position);
        return new VectorSelector(position, matchers, TimeShift.None) { IsNamed = name is not null };
    }

    void Matchers(List<LabelMatcher> matchers, bool named)
    {
        Take();
        while (_token.Kind != TokenKind.RightBrace)
        {
            var at = _token.Position;
            var quoted = _token.Kind == TokenKind.String;
            var label = LabelName("a label name or \"}\"");
            if (quoted && _token.Kind is TokenKind.Comma or TokenKind.RightBrace)
            {
                if (named)
                    throw Error("the metric name is given twice", at);
                matchers.Add(new LabelMatcher(Labels.MetricName, MatchOperator.Equal, label));
            }
            else
            {
                if (named && label == Labels.MetricName)
                    throw Error("the metric name is given twice", at);
                matchers.Add(Matcher(label));
            }

            if (_token.Kind != TokenKind.Comma)
                break;
            Take();
        }

        Expect(TokenKind.RightBrace, "\",\" or \"}\"");
    }

    LabelMatcher Matcher(string label)
    {
        var op = Take();
        MatchOperator match = op switch
        {
            { Kind: TokenKind.Assign } => MatchOperator.Equal,
            { Kind: TokenKind.Operator, Text: "!=" } => MatchOperator.NotEqual,
            { Kind: TokenKind.MatchRegex } => MatchOperator.Matches,
            { Kind: TokenKind.NotMatchRegex } => MatchOperator.NotMatches,
            _ => throw Error($"unexpected {op}: expected one of =, !=, =~, !~", op.Position),
        };
        var at = _token.Position;
        if (_token.Kind != TokenKind.String)
            throw Expected("a quoted string");
        try
        {
            return new LabelMatcher(label, match, StringValue());
        }
        catch (ArgumentException e)
        {
            throw Error(e.Message, at);
        }
    }

    string LabelName(string what, bool allowsColon = false)
    {
        if (_token.Kind == TokenKind.String)
        {
            var at = _token.Position;
            var name = StringValue();
            return name.Length > 0 ? name : throw Error("a name must not be empty", at);
        }

        if (_token.Kind != TokenKind.Identifier || (!allowsColon && _token.Text.Contains(':', StringComparison.Ordinal)))
            throw Expected(what);
        return Take().Text;
    }

    List<string> LabelNames()
    {
        Expect(TokenKind.LeftParen, "\"(\"");
        List<string> names = [];
        while (_token.Kind != TokenKind.RightParen)
        {
            if (_token.Is("inf") || _token.Is("nan"))
                throw Expected("a label name; quote it if it is one");
            names.Add(LabelName("a label name or \")\"", allowsColon: true));
            if (_token.Kind != TokenKind.Comma)
                break;
            Take();
        }

        Expect(TokenKind.RightParen, "\",\" or \")\"");
        return names;
    }

    double Number(Token token)
    {
        var value = GoNumber.ParseLiteral(token.Text);
        return double.IsFinite(value) ? value : throw Error("the number is out of the range of a 64-bit float", token.Position);
    }

    string StringValue()
    {
        var token = Take();
        var body = token.Text.AsSpan(1, token.Text.Length - 2);
        if (token.Text[0] == '`' || !body.Contains('\\'))
            return body.ToString();
        var bytes = new List<byte>();
        while (!body.IsEmpty)
        {
            var plain = body.IndexOf('\\');
            bytes.AddRange(Encoding.UTF8.GetBytes((plain < 0 ? body : body[..plain]).ToArray()));
            if (plain < 0)
                break;
            body = body[(plain + 1)..];
            var length = Escape(body, token, bytes);
            body = body[length..];
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    // Go's escapes. Returns how many characters follow the backslash.
    int Escape(ReadOnlySpan<char> text, Token token, List<byte> bytes)
    {
        const string Single = "abfnrtv\\'\"";
        const string SingleValue = "\a\b\f\n\r\t\v\\'\"";
        var index = text.IsEmpty ? -1 : Single.IndexOf(text[0], StringComparison.Ordinal);
        if (index >= 0)
        {
            bytes.Add((byte)SingleValue[index]);
            return 1;
        }

        var digits = text.IsEmpty ? 0 : text[0] switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0 && text.Length > digits
            && int.TryParse(text.Slice(1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code))
        {
            if (digits == 2)
                bytes.Add((byte)code);
            else if (Rune.IsValid(code))
                bytes.AddRange(Encoding.UTF8.GetBytes(new Rune(code).ToString()));
            else
                throw Error("the string has an escape that is no Unicode character", token.Position);
            return digits + 1;
        }

        if (text.Length >= 3 && text[..3].IndexOfAnyExceptInRange('0', '7') < 0 && text[0] <= '3')
        {
            bytes.Add((byte)(((text[0] - '0') * 64) + ((text[1] - '0') * 8) + text[2] - '0'));
            return 3;
        }

        throw Error("the string has an unknown escape: write \\\\ for a backslash, or quote with `", token.Position);
    }
}
