using System.Collections.Frozen;
using System.Text;

using Whistle.PromQL;
using Whistle.Telemetry;

using static Whistle.Detectors.Templates.TemplateValue;

namespace Whistle.Detectors.Templates;

/// <summary>A template function with the number of arguments that it takes. A wrong argument is a <see cref="FormatException"/>.</summary>
sealed record TemplateFunction(int Least, int Most, Func<TemplateData, object?[], object?> Body)
{
    public TemplateFunction(int count, Func<object?[], object?> body) : this(count, count, (_, a) => body(a))
    {
    }
}

/// <summary>What <c>args</c> gives: <c>arg0</c>, <c>arg1</c>…</summary>
sealed class TemplateArguments : Dictionary<string, object?>
{
    // Text recurses as deeply.
    const int MaxDepth = 10;

    readonly int _depth;

    /// <exception cref="FormatException">Such values are nested too deeply.</exception>
    public TemplateArguments(object?[] values)
        : base(values.Select((v, i) => KeyValuePair.Create($"arg{i}", v)))
    {
        _depth = 1 + values.OfType<TemplateArguments>().Select(a => a._depth).DefaultIfEmpty().Max();
        if (_depth > MaxDepth)
            throw new FormatException("args: nested too deeply");
    }
}

/// <summary>
/// The functions by name: those of Prometheus's template reference and Go's own. A server has no external URL. <c>and</c> and <c>or</c> are
/// <see cref="LogicExpression"/>s.
/// </summary>
static class TemplateFunctions
{
    const int Any = int.MaxValue;

    public static readonly FrozenSet<string> ForConsoles = ["tmpl"];

    public static readonly FrozenDictionary<string, TemplateFunction> All = new Dictionary<string, TemplateFunction>
    {
        ["query"] = new(1, 1, (data, a) => data.Answer(String(a[0]))),
        ["first"] = new(1, a => Samples(a[0]) is [var first, ..] ? first : throw new FormatException(
            "first: the list is empty; ask with \"with\" or \"if\" whether it is")),
        ["value"] = new(1, a => Sample(a[0]).Value),
        ["label"] = new(2, a => Sample(a[1]).Labels[String(a[0])]),
        ["strvalue"] = new(1, a => Sample(a[0]).Labels["__value__"]),
        ["sortByLabel"] = new(2, a => SortByLabel(String(a[0]), Samples(a[1]))),
        ["args"] = new(0, Any, (_, a) => new TemplateArguments(a)),

        ["humanize"] = new(1, a => Humanize.Metric(Number(a[0]))),
        ["humanize1024"] = new(1, a => Humanize.Binary1024(Number(a[0]))),
        ["humanizeDuration"] = new(1, a => Humanize.Duration(Number(a[0]))),
        ["humanizePercentage"] = new(1, a => Humanize.Percentage(Number(a[0]))),
        ["humanizeTimestamp"] = new(1, a => Humanize.Timestamp(Number(a[0]))),
        ["toTime"] = new(1, a => Humanize.Time(Number(a[0]))),
        ["parseDuration"] = new(1, a => ParseDuration(String(a[0]))),

        ["title"] = new(1, a => Title(String(a[0]))),
        ["toUpper"] = new(1, a => String(a[0]).ToUpperInvariant()),
        ["toLower"] = new(1, a => String(a[0]).ToLowerInvariant()),
        ["match"] = new(2, a => Search(a[0]).IsMatch(String(a[1]))),
        ["reReplaceAll"] = new(3, a => Search(a[0]).ReplaceAll(String(a[2]), String(a[1]), LongestText)),
        ["graphLink"] = new(1, a => $"/graph?g0.expr={Escaped(String(a[0]))}&g0.tab=0"),
        ["tableLink"] = new(1, a => $"/graph?g0.expr={Escaped(String(a[0]))}&g0.tab=1"),
        ["stripPort"] = new(1, a => HostPort(String(a[0])) is var (host, _) ? host : String(a[0])),
        ["stripDomain"] = new(1, a => StripDomain(String(a[0]))),
        ["externalURL"] = new(0, _ => ""),
        ["pathPrefix"] = new(0, _ => ""),
        ["safeHtml"] = new(1, a => String(a[0])),

        ["eq"] = new(2, Any, (_, a) => a.Skip(1).Any(b => AreEqual(a[0], b))),
        ["ne"] = new(2, a => !AreEqual(a[0], a[1])),
        ["lt"] = new(2, a => Compare(a[0], a[1]) < 0),
        ["le"] = new(2, a => Compare(a[0], a[1]) <= 0),
        ["gt"] = new(2, a => Compare(a[0], a[1]) > 0),
        ["ge"] = new(2, a => Compare(a[0], a[1]) >= 0),
        ["not"] = new(1, a => !IsTrue(a[0])),
        ["len"] = new(1, a => Length(a[0])),
        ["index"] = new(1, Any, (_, a) => a.Skip(1).Aggregate(a[0], At)),
        ["slice"] = new(1, 3, (_, a) => Slice(a)),
        ["print"] = new(0, Any, (_, a) => Print(a)),
        ["println"] = new(0, Any, (_, a) => string.Join(' ', a.Select(Text).Bounded()) + "\n"),
        ["printf"] = new(1, Any, (_, a) => Printf.Format(String(a[0]), a.AsSpan(1))),
        ["html"] = new(0, Any, (_, a) => Html(Print(a))),
        ["urlquery"] = new(0, Any, (_, a) => Escaped(Print(a))),
    }.ToFrozenDictionary();

    static IReadOnlyList<TemplateSample> Samples(object? value) =>
        value as IReadOnlyList<TemplateSample>
            ?? throw new FormatException($"what a query gives is needed in the place of {Text(value)}, {TypeName(value)}");

    static TemplateSample Sample(object? value) =>
        value as TemplateSample
            ?? throw new FormatException($"a sample is needed in the place of {TypeName(value)}; first takes one from a list");

    static List<TemplateSample> SortByLabel(string label, IReadOnlyList<TemplateSample> samples) =>
        [.. samples.OrderBy(s => s.Labels[label], StringComparer.Ordinal)];

    static object ParseDuration(string text) =>
        Durations.TryParse(text, out var milliseconds)
            ? milliseconds / 1000.0
            : throw new FormatException($"parseDuration: \"{text}\" is not a duration such as 1h30m");

    static string Title(string text)
    {
        var before = ' ';
        return string.Concat(text.Select(c => (Starts: !char.IsLetterOrDigit(before) && before != '_', Is: before = c)).Select(
            c => c.Starts ? char.ToUpperInvariant(c.Is) : c.Is));
    }

    // A literal pattern is compiled already.
    static GoSearch Search(object? pattern)
    {
        try
        {
            return pattern as GoSearch ?? GoSearch.Shared(String(pattern));
        }
        catch (ArgumentException e)
        {
            throw new FormatException(e.Message);
        }
    }

    // As in a form: a space is a plus.
    static string Escaped(string text) => Uri.EscapeDataString(text).Replace("%20", "+", StringComparison.Ordinal);

    // Null where it is not a host with a port.
    static (string Host, string Port)? HostPort(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon < 0)
            return null;
        var (host, port) = (text[..colon], text[(colon + 1)..]);
        if (host is ['[', .. var inner, ']'])
            host = inner;
        else if (host.Contains(':', StringComparison.Ordinal))
            return null;
        return (host + port).AsSpan().ContainsAny('[', ']') ? null : (host, port);
    }

    static string StripDomain(string text)
    {
        var (host, port) = HostPort(text) ?? (text, "");
        if (System.Net.IPAddress.TryParse(host, out _))
            return text;
        host = host.Split('.')[0];
        return port.Length > 0 ? $"{host}:{port}" : host;
    }

    static long Length(object? value) => value switch
    {
        string text => Encoding.UTF8.GetByteCount(text),
        Labels labels => labels.Count,
        IReadOnlyList<TemplateSample> samples => samples.Count,
        IReadOnlyDictionary<string, object?> map => map.Count,
        _ => throw new FormatException($"len: {TypeName(value)} has no length"),
    };

    static object? At(object? value, object? key) => (value, key) switch
    {
        (Labels labels, string name) => labels[name],
        (IReadOnlyDictionary<string, object?> map, string name) => map.GetValueOrDefault(name),
        (IReadOnlyList<TemplateSample> samples, long at) =>
            at >= 0 && at < samples.Count ? samples[(int)at] : throw new FormatException($"index: {at} is out of range"),
        _ => throw new FormatException($"index: {TypeName(value)} has no element {Text(key)}"),
    };

    // Of texts by bytes, as in Go.
    static object Slice(object?[] a)
    {
        var length = Length(a[0]);
        var from = a.Length > 1 ? Bound(a[1], length) : 0;
        var to = a.Length > 2 ? Bound(a[2], length) : (int)length;
        if (from > to)
            throw new FormatException($"slice: {from} is behind {to}");
        return a[0] switch
        {
            string text => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)[from..to]),
            IReadOnlyList<TemplateSample> samples => samples.Take(from..to).ToList(),
            _ => throw new FormatException($"slice: {TypeName(a[0])} cannot be cut"),
        };
    }

    static int Bound(object? value, long length) =>
        value is long at && at >= 0 && at <= length ? (int)at : throw new FormatException($"slice: {Text(value)} is out of range");

    // A space between two that are no texts.
    static string Print(object?[] values) =>
        string.Concat(values.Select((v, i) => (i > 0 && v is not string && values[i - 1] is not string ? " " : "") + Text(v)).Bounded());

    static string Html(string text) => text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("'", "&#39;", StringComparison.Ordinal)
        .Replace("<", "&lt;", StringComparison.Ordinal).Replace(">", "&gt;", StringComparison.Ordinal)
        .Replace("\"", "&#34;", StringComparison.Ordinal);
}
