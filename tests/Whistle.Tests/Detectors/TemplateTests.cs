using Whistle.Detectors.Templates;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Detectors;

public sealed class TemplateTests
{
    [Theory]
    [InlineData("{{ $labels.node }}: {{ $value }}", 0.25, "n1: 0.25")]
    [InlineData("{{$value | humanizePercentage}}", 0.12345, "12.35%")]
    [InlineData("{{ humanize $value }}", 1234567, "1.235M")]
    [InlineData("{{ humanize $value }}", 0.00123, "1.23m")]
    [InlineData("{{ $value | humanize1024 }}B", 3221225472.0, "3GiB")]
    [InlineData("{{ $value | humanizeDuration }}", 93784, "1d 2h 3m 4s")]
    [InlineData("{{ $value | humanizeDuration }}", 0.25, "250ms")]
    [InlineData("{{ printf \"%.2f%% of %s\" $value .Labels.node }}", 3.14159, "3.14% of n1")]
    [InlineData("{{ $value | printf \"%05.1f\" | toUpper }}", 3.14159, "003.1")]
    [InlineData("{{ printf \"%s\" ($value | humanize) }}", 1000, "1k")]
    [InlineData("a  {{- /* nothing */ -}}  b", 0, "ab")]
    [InlineData("{{ $value }}", 1e21, "1e+21")]
    [InlineData("{{ $value }}", 1e6, "1e+06")]
    [InlineData("{{ $value }}", 999999, "999999")]
    [InlineData("{{ humanize $labels.node }}", 0, "<error expanding template: \"n1\" is not a number>")]
    [InlineData(
        "lost {{ if eq $value 1 }}x{{ end }}", 1,
        "<error expanding template: float64 and int cannot be compared; write 1.0 for a whole number beside a value>")]
    [InlineData("{{ range 1000000 }}x{{ end }}", 0, "<error expanding template: it takes too long: shorten its loops>")]
    [InlineData("{{ if gt $value 0.5 }}more{{ else }}less{{ end }}", double.NaN, "more")]
    [InlineData("{{ $labels.absent }}|", double.NaN, "|")]
    [InlineData("{{ printf \"%o\" -9223372036854775808 }}", 0, "-1000000000000000000000")]
    [InlineData("{{ 010 }} {{ -0_10 }} {{ 0 }} {{ 0.5 }} {{ 00.5 }} {{ 0e1 }}", 0, "8 -8 0 0.5 0.5 0")]
    [InlineData("{{ with $labels }}{{ (.node) }}{{ end }}", 0, "n1")]
    [InlineData(
        "{{ match (print \"(\") \"x\" }}", 0, "<error expanding template: bad regular expression at character 1: missing closing )>")]
    [InlineData("on {{ with $labels.node -}}  node {{ . | toUpper }} {{- end }}.", 0, "on node N1.")]
    [InlineData("on {{ with $labels.absent -}} it {{ . }} {{- end }}.", 0, "on .")]
    [InlineData("{{ with $value }}{{ with $labels.node }}{{ . }} {{ end }}{{ . }}{{ end }}", 2, "n1 2")]
    public void A_template_renders(string template, double value, string text) =>
        Assert.Equal(text, Template.Parse(template).Render(new(Labels.Of(("node", "n1")), value)));

    [Fact]
    public void A_template_says_what_it_queries_until_it_is_answered()
    {
        var template = Template.Parse("{{ range query (printf \"up{node='%s'}\" $labels.node) }}{{ .Value }}{{ end }}");
        var labels = Labels.Of(("node", "n1"));
        Assert.Equal("up{node='n1'}", Assert.Throws<QueryNeededException>(() => template.Render(new(labels, 0))).Query);

        Assert.Equal("1", Render(new([new(Labels.OfMetric("up"), 1)], null)));
        Assert.Equal("<error expanding template: query: too much>", Render(new([], "too much")));

        string Render(QueryAnswer answer) =>
            template.Render(new(labels, 0, new Dictionary<string, QueryAnswer> { ["up{node='n1'}"] = answer }));
    }

    [Fact]
    public void What_is_nested_too_deeply_is_refused() =>
        Assert.All(
            [
                new string('(', 100_000),
                "1" + string.Concat(Enumerable.Repeat(" | print", 100_000)),
                "1" + string.Concat(Enumerable.Repeat(" | and 1", 100_000)),
                "$labels" + string.Concat(Enumerable.Repeat(".a", 100_000)),
                string.Concat(Enumerable.Repeat("print (", 50)) + "1" + string.Concat(Enumerable.Repeat(" | print | print)", 50)),
                string.Concat(Enumerable.Repeat("if 1 }}{{ ", 100_000)),
            ],
            t => Assert.Contains("nested too deeply", Assert.Throws<TemplateException>(() => Template.Parse($"{{{{ {t} }}}}")).Message));

    [Theory]
    [InlineData("{{ $x := args }}{{ range 30000 }}{{ $x = args $x }}{{ end }}{{ $x }}", "args: nested too deeply")]
    [InlineData(
        "{{ $x := args 1 }}{{ range 9 }}{{ $x = args $x $x $x $x $x $x $x $x $x $x }}{{ end }}{{ $x }}",
        "a text of more than 1000000 characters")]
    [InlineData("{{ $x := `aaaaaaaa` }}{{ range 28 }}{{ $x = printf `%s%s` $x $x }}{{ end }}", "a text of more than 1000000 characters")]
    [InlineData("{{ $x := `aaaaaaaa` }}{{ range 28 }}{{ $x = print $x $x }}{{ end }}", "a text of more than 1000000 characters")]
    [InlineData("{{ $x := `aaaaaaaa` }}{{ range 28 }}{{ $x = println $x $x }}{{ end }}", "a text of more than 1000000 characters")]
    [InlineData("{{ $x := `aaaaaaaa` }}{{ range 28 }}{{ $x = printf `` $x $x }}{{ end }}", "a text of more than 1000000 characters")]
    [InlineData(
        "{{ $x := `aaaaaaaa` }}{{ range 28 }}{{ $x = reReplaceAll `` `xx` $x }}{{ end }}", "a replacement of more than 1000000 characters")]
    [InlineData(
        "{{ $x := `$1$1` }}{{ range 28 }}{{ $x = reReplaceAll `(.*)` $x $x }}{{ end }}", "a replacement of more than 1000000 characters")]
    [InlineData("{{ $x := `a<` }}{{ range 28 }}{{ $x = html $x }}{{ end }}{{ range 28 }}{{ $x = urlquery $x }}{{ end }}", null)]
    [InlineData("{{ $x := printf `%900000s` `a` }}{{ $x }}", "printf: a width of more than 1000")]
    [InlineData("{{ $x := printf `%900s` `a` }}{{ range 99999 }}{{ $y := match `b` $x }}{{ end }}", "it takes too long: shorten its loops")]
    public void What_grows_without_bounds_is_cut_off(string template, string? reason)
    {
        var text = Template.Parse(template).Render(new(Labels.Empty, 0));
        Assert.Equal(reason is null ? "" : $"<error expanding template: {reason}>", text);
    }

    [Theory]
    [InlineData("ab {{ nosuch $value }}", 6, "unknown function \"nosuch\"")]
    [InlineData("ab {{ query \"sum(\" }}", 12, "in the query: ")]
    [InlineData("{{ template \"x\" }}", 3, "named templates are not supported")]
    [InlineData("{{ tmpl \"x\" 1 }}", 3, "for console pages only")]
    [InlineData("{{ .Nosuch }}", 3, "unknown field \".Nosuch\"")]
    [InlineData("{{ (.Nosuch) }}", 4, "unknown field \".Nosuch\"")]
    [InlineData("{{ if .Nosuch }}{{ end }}", 6, "unknown field \".Nosuch\"")]
    [InlineData("{{ 08 }}", 3, "not an octal number")]
    [InlineData("{{ match \"(\" $value }}", 9, "bad regular expression")]
    [InlineData("x {{ \"a\" | reReplaceAll \"[\" \"b\" }}", 24, "bad regular expression")]
    [InlineData("{{ with $value }}x", 3, "is not ended")]
    [InlineData("x{{ end }}", 4, "\"end\" without an action")]
    [InlineData("{{ $foo }}", 3, "unknown variable \"$foo\"")]
    [InlineData("{{ $value", 9, "not closed")]
    [InlineData("{{ humanize }}", 3, "does not take 0 arguments")]
    [InlineData("{{ $value | $labels.x }}", 12, "only a function")]
    public void A_template_that_does_not_parse_says_where(string template, int offset, string reason)
    {
        var e = Assert.Throws<TemplateException>(() => Template.Parse(template));

        Assert.Contains(reason, e.Message);
        Assert.Equal(offset, e.Offset);
    }
}
