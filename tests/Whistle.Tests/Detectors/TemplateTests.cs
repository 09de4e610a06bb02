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
    [InlineData("{{ $value }}", 1e20, "100000000000000000000")]
    [InlineData("{{ humanize $labels.node }}", 0, "<error: \"n1\" is not a number>")]
    [InlineData("{{ $labels.absent }}|", double.NaN, "|")]
    [InlineData("on {{ with $labels.node -}}  node {{ . | toUpper }} {{- end }}.", 0, "on node N1.")]
    [InlineData("on {{ with $labels.absent -}} it {{ . }} {{- end }}.", 0, "on .")]
    [InlineData("{{ with $value }}{{ with $labels.node }}{{ . }} {{ end }}{{ . }}{{ end }}", 2, "n1 2")]
    public void A_template_renders(string template, double value, string text) =>
        Assert.Equal(text, Template.Parse(template).Render(new(Labels.Of(("node", "n1")), value)));

    [Theory]
    [InlineData("ab {{ nosuch $value }}", 6, "unknown function \"nosuch\"")]
    [InlineData("{{ if $value }}x{{ end }}", 3, "control action \"if\"")]
    [InlineData("{{ with $value }}x", 18, "is not ended")]
    [InlineData("{{ . }}", 3, "unknown variable \".\"")]
    [InlineData("x{{ end }}", 4, "control action \"end\"")]
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
