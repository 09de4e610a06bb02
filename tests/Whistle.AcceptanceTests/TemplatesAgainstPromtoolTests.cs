using System.Diagnostics;
using System.Text.Json;

using Whistle.Detectors.Rules;
using Whistle.Detectors.Testing;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Templates of annotations as Prometheus's promtool and Whistle's rule tests render them.</summary>
public sealed class TemplatesAgainstPromtoolTests : IDisposable
{
    // On load{job="j",instance="h.example.com:9100"} 1234.5 at five minutes.
    static readonly (string Template, string Text)[] Texts =
    [
        ("{{ $labels.job }} {{ .Labels.job }} {{ $.Labels.job }} {{ $labels.absent }}|", "j j j |"),
        ("{{ $value }} {{ .Value }} {{ $externalLabels.x }}|{{ .ExternalURL }}|{{ $externalURL }}", "1234.5 1234.5 ||"),
        (
            "{{ $labels }} {{ . }}",
            "map[__name__:load instance:h.example.com:9100 job:j] {map[__name__:load instance:h.example.com:9100 job:j] map[]  1234.5}"),
        ("{{ query \"up\" | len }} {{ query \"up\" | sortByLabel \"instance\" | first | label \"instance\" }}", "3 a"),
        (
            "{{ query \"up{instance='a'}\" | first | value }} {{ query \"up{instance='a'}\" | first }}",
            "0 {map[__name__:up instance:a job:j] 0}"),
        ("{{ range query \"up\" | sortByLabel \"instance\" }}{{ .Labels.instance }}={{ .Value }};{{ end }}", "a=0;b=1;c=1;"),
        ("{{ range $i, $s := query \"up\" | sortByLabel \"instance\" }}{{ if $i }}, {{ end }}{{ $s.Labels.instance }}{{ end }}", "a, b, c"),
        ("{{ range $s := query \"up\" | sortByLabel \"instance\" }}{{ $s.Value }};{{ else }}none{{ end }}", "0;1;1;"),
        ("{{ range query \"nosuch\" }}x{{ else }}none{{ end }} {{ with query \"nosuch\" }}x{{ else }}none{{ end }}", "none none"),
        ("{{ with query \"nosuch\" }}x{{ else with query \"up\" }}{{ len . }}{{ end }}", "3"),
        ("{{ with printf \"up{instance='%s'}\" \"b\" | query }}{{ . | first | value | humanize }}{{ end }}", "1"),
        ("{{ query \"recorded\" | first | value }}", "300"),
        (
            "{{ query \"time()\" | first | value }} {{ query \"1\" | first | value }} {{ (index (query \"up{instance='a'}\") 0).Value }}",
            "300 1 0"),
        ("{{ (query \"up{instance='a'}\" | first).Labels.instance }} {{ strvalue (query \"up\" | first) }}|", "a |"),
        ("{{ range query \"sort_desc(count by (job) (up))\" }}{{ if eq .Labels.job $labels.job }}mine {{ continue }}{{ end }}{{ "
            + ".Labels.job }} {{ end }}", "mine i "),
        ("{{ range query \"up\" }}{{ break }}x{{ end }}ok{{ range query \"up\" }}{{ continue }}x{{ end }}", "ok"),
        ("{{ if gt $value 1000.0 }}big{{ else if gt $value 10.0 }}mid{{ else }}small{{ end }}", "big"),
        ("{{ if lt $value 1000.0 }}small{{ else if gt $value 10.0 }}mid{{ else }}big{{ end }}", "mid"),
        ("{{ if and (eq $labels.job \"j\") (ne $labels.instance \"x\") }}J{{ end }}{{ if not $labels.absent }}N{{ end }}", "JN"),
        ("{{ and $labels.job $value }} {{ or $labels.absent \"d\" }} {{ or false $labels.absent 0 }} {{ and 1 2 }}", "1234.5 d 0 2"),
        (
            "{{ eq $labels.job \"a\" \"j\" }} {{ lt 1 2 }} {{ le 1.5 1.5 }} {{ ge \"b\" \"a\" }} {{ gt 1 2 }} {{ eq true false }} "
            + "{{ eq $labels nil }}",
            "true true true true false false false"),
        ("{{ if 0 }}t{{ else }}f{{ end }}{{ if \"\" }}t{{ else }}f{{ end }}{{ if 0.0 }}t{{ else }}f{{ end }}{{ if false }}t{{ else }}f{{ "
            + "end }}{{ if args }}t{{ else }}f{{ end }}", "fffff"),
        ("{{ or (query \"nosuch\") \"none\" }} {{ and false (first (query \"nosuch\")) }}", "none false"),
        ("{{ $x := 3 }}{{ $x }}{{ $x = 4 }}{{ $x }}{{ if true }}{{ $x = 5 }}{{ $x := 6 }}{{ $x }}{{ end }}{{ $x }}", "3465"),
        (
            "{{ with $x := $labels.job }}{{ $x }}{{ . }}{{ end }}{{ with $value }}{{ $labels.job }}{{ . "
            + "}}{{ end }}{{ if $y := 2 }}{{ $y }}{{ end }}",
            "jjj1234.52"),
        (
            "{{ range $k, $v := $labels }}{{ $k }}={{ $v }},{{ end }} {{ range $labels }}{{ . }},{{ end }}",
            "__name__=load,instance=h.example.com:9100,job=j, load,h.example.com:9100,j,"),
        ("{{ range 3 }}{{ . }}{{ end }} {{ range $i := 2 }}{{ $i }}{{ end }}", "012 01"),
        (
            "{{ tableLink \"up{job=\\\"j\\\"} + 1\" }} {{ \"up\" | graphLink }}",
            "/graph?g0.expr=up%7Bjob%3D%22j%22%7D+%2B+1&g0.tab=1 /graph?g0.expr=up&g0.tab=0"),
        (
            "{{ graphLink \"rate(a_b:c[5m]) * 2 > bool -1 # ~!'()*é\" }}",
            "/graph?g0.expr=rate%28a_b%3Ac%5B5m%5D%29+%2A+2+%3E+bool+-1+%23+~%21%27%28%29%2A%C3%A9&g0.tab=0"),
        (
            "{{ stripPort $labels.instance }} {{ stripDomain $labels.instance }} {{ \"[::1]:80\" | stripPort }} "
            + "{{ stripDomain \"1.2.3.4:80\" }}",
            "h.example.com h:9100 ::1 1.2.3.4:80"),
        (
            "{{ stripPort \"abc\" }} {{ stripDomain \"[::1]:80\" }} {{ stripDomain \"a.b.c\" }} {{ stripPort \"a:b:1\" }} "
            + "{{ stripPort \"h:\" }}",
            "abc [::1]:80 a a:b:1 h"),
        (
            "{{ title \"hello wOrld a-b c_d x1y é\" }} {{ toUpper \"abc\" }} {{ \"ABC\" | toLower }} {{ safeHtml \"<b>\" }}",
            "Hello WOrld A-B C_d X1y É ABC abc <b>"),
        (
            "{{ match \"a.c\" \"xabcx\" }} {{ match \"^a\" \"ba\" }} {{ match \"a.c\" \"a\\nc\" }} {{ match \"(?i)B\" \"abc\" }}",
            "true false false true"),
        (
            "{{ reReplaceAll \"(\\\\w)b\" \"${1}z\" \"abab\" }} {{ reReplaceAll \"a(b)\" \"$1x\" \"ab\" }}|{{ reReplaceAll \"a*\" \"x\" "
            + "\"baaac\" }} {{ reReplaceAll \"(?P<n>[0-9]+)\" \"<$n>$$\" \"a12b3\" }}",
            "azaz |xbxcx a<12>$b<3>$"),
        (
            "{{ parseDuration \"1h30m\" }} {{ parseDuration \"90s500ms\" }} {{ toTime 1435065584.128 }} "
            + "{{ humanizeTimestamp 1435065584.128 }} {{ humanizeTimestamp 0 }} {{ humanizeTimestamp -1.5 }}",
            "5400 90.5 2015-06-23 13:19:44.128 +0000 UTC 2015-06-23 13:19:44.128 +0000 UTC 1970-01-01 00:00:00 +0000 UTC 1969-12-31 "
            + "23:59:58.5 +0000 UTC"),
        (
            "{{ humanize \"12345\" }} {{ humanize 12345 }} {{ humanizeDuration \"90\" }} {{ humanizePercentage \"0.5\" }} "
            + "{{ humanize1024 2048 }} {{ humanize \"+Inf\" }}",
            "12.35k 12.35k 1m 30s 50% 2ki +Inf"),
        (
            "{{ humanizeDuration 93784 }} {{ humanizeDuration 0.25 }} {{ humanizeDuration -61 }} {{ humanize 0.00123 }} {{ humanize 0 }} "
            + "{{ humanize1024 1e30 }}",
            "1d 2h 3m 4s 250ms -1m 1s 1.23m 0 8.272e+05Yi"),
        (
            "{{ printf \"%o %x\" -9223372036854775808 -9223372036854775808 }} {{ args (args 1) \"b\" }}",
            "-1000000000000000000000 -8000000000000000 map[arg0:map[arg0:1] arg1:b]"),
        (
            "{{ args 1 \"b\" }} {{ (args 1 \"b\").arg1 }} {{ (args 1).arg5 }} {{ index (args 7) \"arg0\" }}",
            "map[arg0:1 arg1:b] b <no value> 7"),
        (
            "{{ print 1 \"a\" 2 3 }} {{ print 1 2.5 true }} {{ println \"x\" 1 }}|{{ html \"<a href='x'>&\" }} {{ urlquery \"a b&c\" }}",
            "1a2 3 1 2.5 true x 1\n|&lt;a href=&#39;x&#39;&gt;&amp; a+b%26c"),
        (
            "{{ index $labels \"job\" }} {{ len $labels }} {{ len \"é\" }} {{ slice \"abcd\" 1 3 }} {{ slice \"abcd\" 2 }} "
            + "{{ $labels.job | len | printf \"%03d\" }}",
            "j 3 2 bc cd 001"),
        (
            "{{ $value | printf \"%.1f\" }} {{ printf \"%d\" 3 }} {{ printf \"%d\" $value }} {{ printf \"%s\" $value }} "
            + "{{ printf \"%v %t %x %q\" $value true 255 \"a\" }}",
            "1234.5 3 %!d(float64=1234.5) %!s(float64=1234.5) 1234.5 true ff \"a\""),
        (
            "{{ printf \"%6.2f|%-6s|%+d|%e|%g|%5t|%05d|%x|%08.3f|%+.1f|% d\" 3.14159 \"ab\" 3 1234.5 0.00001 true -42 "
            + "\"hi\" -3.14159 2.55 7 }}",
            "  3.14|ab    |+3|1.234500e+03|1e-05| true|-0042|6869|-003.142|+2.5| 7"),
        (
            "{{ printf \"%!\" }} {{ printf \"%d\" \"x\" }} {{ printf \"%s\" 3 }} {{ printf \"%s\" }} {{ printf \"a\" 1 }} "
            + "{{ printf \"%d%%\" 5 }} {{ printf \"%\" }}",
            "%!!(MISSING) %!d(string=x) %!s(int=3) %!s(MISSING) a%!(EXTRA int=1) 5% %!(NOVERB)"),
        (
            "{{ printf \"%q %.2s %c %U %o %b %v\" \"a\\\"\\n\" \"abc\" 'x' 'x' 8 5 $labels }}",
            "\"a\\\"\\n\" ab x U+0078 10 101 map[__name__:load instance:h.example.com:9100 job:j]"),
        (
            "{{ 1000000.0 }} {{ 123456789.0 }} {{ 100000.0 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1e3 }} {{ 1_000 }} {{ 0x10 }} {{ 010 }} "
            + "{{ -010 }} {{ 'a' }} {{ -3 }} {{ +3 }} {{ true }} {{ 1.50 }}",
            "1e+06 1.23456789e+08 100000 0.0001 1e-05 1000 1000 16 8 -8 97 -3 3 true 1.5"),
        ("{{/* c */}}x {{- /* c */ -}} y {{ \"a\" -}} b {{- \"c\" }}", "xy abc"),
        ("{{ \"é\" | toUpper }} {{ `raw\\n` }} {{ \"a\\tb\\u00e9\\x41\\101\" }} {{ \"}}\" }}", "É raw\\n a\tbéAA }}"),
    ];

    // Rendered to an explanation by both, each in its words.
    static readonly string[] Failing =
    [
        "{{ if gt $value 1000 }}big{{ end }}",
        "{{ lt \"a\" 1 }}",
        "{{ eq 1 1.0 }}",
        "{{ first (query \"nosuch\") }}",
        "{{ printf \"sum(%s\" \"up\" | query | first | value }}",
        "{{ printf \"%s[5m]\" \"up\" | query | len }}",
        "{{ query \"up\" | value }}",
        "{{ humanize \"x\" }}",
        "{{ $value.x }}",
        "{{ range \"ab\" }}{{ . }}{{ end }}",
        "{{ range $value }}x{{ end }}",
        "{{ label \"job\" nil }}",
        "{{ index (query \"up\") 9 }}",
        "{{ parseDuration \"x\" }}",
        "{{ match (print \"(\") \"x\" }}",
        "{{ slice \"abc\" 2 1 }}",
        "{{ if false }}{{ $x := 1 }}{{ else }}{{ $x }}{{ end }}",
        "some text {{ with .Labels }}{{ .Value.x }}{{ index 1 2 }}{{ end }}",
    ];

    // Refused by both when the file is loaded; where Whistle says it is in the template.
    static readonly (string Template, int Offset, string Reason)[] Refused =
    [
        ("x {{ nosuch $value }}", 5, "unknown function \"nosuch\""),
        ("{{ tmpl \"x\" 1 }}", 3, "for console pages only"),
        ("{{ $nosuch }}", 3, "unknown variable \"$nosuch\""),
        ("{{ if $value }}{{ $x := 1 }}{{ end }}{{ $x }}", 40, "unknown variable \"$x\""),
        ("{{ if $value }}", 3, "\"if\" is not ended"),
        ("{{ range query \"up\" }}x", 3, "\"range\" is not ended"),
        ("x{{ end }}", 4, "\"end\" without"),
        ("{{ else }}", 3, "\"else\" without"),
        ("{{ if 1 }}{{ else }}{{ else }}{{ end }}", 23, "a second \"else\""),
        ("{{ break }}", 3, "outside of range"),
        ("{{ $labels.job }", 15, "unexpected \"}\""),
        ("{{ \"abc }}", 3, "string is not closed"),
        ("{{ \"\\z\" }}", 4, "not an escape"),
        ("{{ if }}x{{ end }}", 6, "value or a function is missing"),
        ("{{ (1 }}", 6, "closing parenthesis"),
        ("{{ 08 }}", 3, "not an octal number"),
    ];

    static readonly string[] RuleFiles = ["rules.json"];

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-templates-").FullName;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_template_renders_to_what_promtool_renders()
    {
        var file = await WriteAsync([.. Texts.Select(t => t.Template)], [.. Texts.Select(t => t.Text)]);
        var (code, output) = await PromtoolAsync("test", "rules", file);
        var report = await RuleTester.RunAsync(file, Cancellation);

        Assert.True(code == 0, $"promtool: {output}");
        Assert.True(report.Errors.Count == 0, $"Whistle: {string.Join('\n', report.Errors)}");
        Assert.Equal(Texts.Length, report.Checks);
    }

    [Fact]
    public async Task What_cannot_be_rendered_is_an_explanation_in_both()
    {
        var file = await WriteAsync(Failing, [.. Failing.Select(_ => "text")]);
        var (_, output) = await PromtoolAsync("test", "rules", file);
        var report = await RuleTester.RunAsync(file, Cancellation);

        Assert.Equal(Failing.Length, output.Split("t=\"<error expanding template: ").Length - 1);
        Assert.Equal(Failing.Length, report.Errors.Count);
        Assert.All(report.Errors, e => Assert.Contains("t: <error expanding template: ", e.Reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_does_not_parse_is_refused_by_both_when_it_is_loaded()
    {
        foreach (var (template, offset, reason) in Refused)
        {
            await WriteAsync([template], [""]);
            var rules = Path.Combine(_folder, "rules.json");
            var error = Assert.Single(RuleSet.Load([rules]).Errors);
            Assert.Contains(reason, error.Reason, StringComparison.Ordinal);
            Assert.True(offset == At(error.Reason, template), $"{template}: {error}");
            Assert.True((await PromtoolAsync("check", "rules", rules)).Code != 0, template);
        }
    }

    // What the column of the error counts from is another test's matter: JSON escapes what it quotes.
    static int At(string message, string template)
    {
        var e = Assert.Throws<Detectors.Templates.TemplateException>(() => Detectors.Templates.Template.Parse(template));
        Assert.Contains(e.Message, message, StringComparison.Ordinal);
        return e.Offset;
    }

    // JSON is YAML, and no template needs another escape in it.
    async Task<string> WriteAsync(string[] templates, string[] texts)
    {
        object recorded = new { record = "recorded", expr = "time()" };
        var alerts = templates.Select((t, i) => new { alert = $"T{i}", expr = "load > 0", annotations = new { t } });
        await WriteAsync("rules.json", new { groups = new[] { new { name = "g", rules = alerts.Prepend(recorded) } } });
        object Alert(string text) =>
            new { exp_labels = new { job = "j", instance = "h.example.com:9100" }, exp_annotations = new { t = text } };
        return await WriteAsync("test.json", new
        {
            rule_files = RuleFiles,
            tests = new[]
            {
                new
                {
                    input_series = new[]
                    {
                        new { series = "load{job=\"j\",instance=\"h.example.com:9100\"}", values = "1234.5x5" },
                        new { series = "up{job=\"j\",instance=\"b\"}", values = "1x5" },
                        new { series = "up{job=\"j\",instance=\"a\"}", values = "0x5" },
                        new { series = "up{job=\"i\",instance=\"c\"}", values = "1x5" },
                    },
                    alert_rule_test = texts.Select(
                        (t, i) => new { eval_time = "5m", alertname = $"T{i}", exp_alerts = new[] { Alert(t) } }),
                },
            },
        });
    }

    async Task<string> WriteAsync(string name, object content)
    {
        var path = Path.Combine(_folder, name);
        await File.WriteAllTextAsync(path, JsonSerializer.Serialize(content), Cancellation);
        return path;
    }

    static async Task<(int Code, string Output)> PromtoolAsync(params string[] arguments)
    {
        using var promtool = Process.Start(
            new ProcessStartInfo(Requirement.Promtool(), arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = promtool.StandardError.ReadToEndAsync(Cancellation);
        var output = await promtool.StandardOutput.ReadToEndAsync(Cancellation);
        await promtool.WaitForExitAsync(Cancellation);
        return (promtool.ExitCode, output + await error);
    }
}
