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
    [InlineData("lost {{ if eq $value 1 }}x{{ end }}", 1, "<error expanding template: float64 and int cannot be compared; write 1.0 for a whole number beside a value>")]
    [InlineData("{{ range 1000000 }}x{{ end }}", 0, "<error expanding template: it takes too long: shorten its loops>")]
    [InlineData("{{ if gt $value 0.5 }}more{{ else }}less{{ end }}", double.NaN, "more")]
    [InlineData("{{ $labels.absent }}|", double.NaN, "|")]
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

        string Render(QueryAnswer answer) => template.Render(new(labels, 0, new Dictionary<string, QueryAnswer> { ["up{node='n1'}"] = answer }));
    }

    [Fact]
    public void What_is_nested_too_deeply_is_refused() =>
        Assert.Contains("nested too deeply", Assert.Throws<TemplateException>(() => Template.Parse("{{ " + new string('(', 100_000))).Message);

    [Theory]
    [InlineData("ab {{ nosuch $value }}", 6, "unknown function \"nosuch\"")]
    [InlineData("ab {{ query \"sum(\" }}", 12, "in the query: ")]
    [InlineData("{{ template \"x\" }}", 3, "named templates are not supported")]
    [InlineData("{{ tmpl \"x\" 1 }}", 3, "for console pages only")]
    [InlineData("{{ .Nosuch }}", 3, "unknown field \".Nosuch\"")]
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
