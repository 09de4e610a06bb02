using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

using CsCheck;

using Whistle.Ingest.Influx;
using Whistle.Inventory;
using Whistle.State.Files;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

public sealed class InfluxTextTests
{
    static readonly Gen<string> Text = Gen.OneOf(
        Gen.Char[" ,=\\\"'%#\n\r\t\0/a2541\u007f_é日\u0085\u2028.*|"].Array[1, 8].Select(c => new string(c)),
        Any("time", "value", "special", "_field", "_measurement", "_", "%", "%%", "😀", "a\\", "\\,", "%5C", "x"));

    static readonly Gen<Labels> Series = Gen.Select(Text, Gen.Select(Text, Text).Array[0, 5]).Select((metric, tags) => Labels.From(
        tags.Select(t => new Label(t.Item1, t.Item2)).Append(new(Labels.MetricName, metric)).DistinctBy(l => l.Name)));

    [Fact]
    public void A_line_says_to_an_independent_reader_what_was_written()
    {
        Gen.Select(Series, Gen.Long[-1L << 42, 1L << 42], Gen.Double).Array[1, 5].Sample(samples =>
        {
            var lines = new InfluxLines();
            foreach (var (labels, time, value) in samples)
                lines.Add(InfluxLines.Key(labels), time, value);
            var read = LineReader.Read(Encoding.UTF8.GetString(lines.Bytes.Span));
            Assert.Equal(samples.Length, read.Count);
            for (var i = 0; i < samples.Length; i++)
            {
                Assert.Equal(samples[i].Item1, read[i].Labels);
                Assert.Equal(samples[i].Item2, read[i].Time);
                Assert.Equal(BitConverter.DoubleToInt64Bits(samples[i].Item3), BitConverter.DoubleToInt64Bits(read[i].Value));
            }
        });
    }

    [Fact]
    public void Special_values_keep_every_bit()
    {
        Gen.Long.Sample(random =>
        {
            // Any NaN, or an infinity.
            var bits = (ulong)random | 0x7ff0000000000000;
            var special = SpecialValue.Of(BitConverter.UInt64BitsToDouble(bits));
            Assert.Equal(bits, BitConverter.DoubleToUInt64Bits(SpecialValue.Read(special)));
        });
    }

    [Fact]
    public void A_key_is_read_as_the_labels_that_it_was_made_of()
    {
        Series.Sample(labels =>
        {
            var key = InfluxLines.Key(labels);
            Assert.Equal(labels, InfluxKey.Read(key.AsSpan(0, key.Length - 1)));
        });
    }

    [Fact]
    public void Csv_is_read_as_it_was_written_whatever_the_parts_that_arrive()
    {
        var rows = Gen.OneOf(Text, Gen.Const(""), Gen.Const(new string('x', 70_000))).Array[1, 6].Array[0, 8];
        Gen.Select(rows, Gen.Int[1, 50_000]).Sample((written, part) =>
        {
            // A row of one empty field is an empty line.
            var text = string.Concat(written.Select(r => string.Join(',', r.Select(Quoted)) + "\n"));
            var csv = new CsvRows(new PartStream(Encoding.UTF8.GetBytes(text), part));
            foreach (var row in written)
            {
                Assert.True(csv.Next());
                Assert.Equal(row is [""] ? [] : row, Enumerable.Range(0, csv.Count).Select(i => Encoding.UTF8.GetString(csv[i])));
            }

            Assert.False(csv.Next());
        }, iter: 300);
    }

    [Theory]
    [InlineData("a,b")]
    [InlineData("\"a\nb")]
    [InlineData("\"a\"b\n")]
    [InlineData("1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\n")]
    public void What_breaks_off_or_is_no_csv_is_an_error(string text)
    {
        var csv = new CsvRows(new PartStream(Encoding.UTF8.GetBytes(text), 3));
        Assert.Throws<StoreException>(() => csv.Next());
    }

    [Fact]
    public void A_pattern_that_is_passed_on_never_hides_a_match()
    {
        var pieces = Any("a", "2", "5", ".*", ".+", "\\.", "|", "(", ")", "?", "[a-c]", "[0-9]+", "_", "/", ":", "(?:", "[^a]", "%");
        var values = Gen.Char["a25%\\.b_/: C"].Array[1, 6].Select(c => new string(c));
        Gen.Select(pieces.Array[1, 6].Select(string.Concat), values).Sample((pattern, value) =>
        {
            if (!PlainPattern.IsPlain(pattern, out var hasWildcard) || Parse(pattern) is not { } regex)
                return;
            var (own, stored) = (regex.IsMatch(value), regex.IsMatch(InfluxText.Value(value)));
            Assert.True(!own || stored, $"{pattern} hides {value}");
            Assert.True(hasWildcard || own == stored, $"{pattern} says another thing of {value}");
        }, iter: 20_000);
    }

    [Fact]
    public void Every_endpoint_that_may_have_a_series_is_asked()
    {
        var names = Any("a", "ab", "b", "");
        var rules = Gen.Select(Any("*", "a", "a*", "b"), Any("*", "b", "*b", "a")).Select((t, c) => $"{t}/{c}");
        var matchers = Gen.Select(
            Any(Sender.TenantLabel, Sender.ClusterLabel), Gen.Enum<MatchOperator>(), Any("a", "ab", "b", "", "a.*"));
        Gen.Select(rules.Array[1, 2].Array[0, 3], matchers.Array[0, 3], names, names).Sample((given, asked, tenant, cluster) =>
        {
            var map = new EndpointMap(given);
            LabelMatcher[] all = [.. asked.Select(m => new LabelMatcher(m.Item1, m.Item2, m.Item3))];
            if (all.All(m => m.IsMatch(Labels.Of((Sender.TenantLabel, tenant), (Sender.ClusterLabel, cluster)))))
                Assert.Contains(map.Of(new(tenant, cluster)), map.For(all));
        }, iter: 20_000);
    }

    [Fact]
    public void An_endpoint_that_the_matchers_exclude_is_not_asked()
    {
        var map = new EndpointMap([["a/*"], ["b/x", "b/y*"]]);

        Assert.Equal([0], map.For([new(Sender.TenantLabel, MatchOperator.Equal, "a")]));
        Assert.Equal([1, 2], map.For([new(Sender.TenantLabel, MatchOperator.Equal, "b")]));
        Assert.Equal([2], map.For([new(Sender.TenantLabel, MatchOperator.Equal, "c")]));
        Assert.Equal([0, 1, 2], map.For([]));
        Assert.Equal(
            [1], map.For([new(Sender.TenantLabel, MatchOperator.Equal, "b"), new(Sender.ClusterLabel, MatchOperator.Equal, "y1")]));
    }

    static Gen<string> Any(params string[] texts) => Gen.Int[0, texts.Length - 1].Select(i => texts[i]);

    static Regex? Parse(string pattern)
    {
        try
        {
            return new Regex($@"\A(?:{pattern})\z", RegexOptions.Singleline | RegexOptions.CultureInvariant);
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    static string Quoted(string field) => field.AsSpan().IndexOfAny("\",\n\r ") >= 0
        ? $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : field;

    /// <summary>Line protocol as InfluxDB documents it, and Whistle's percent signs as its own documents do.</summary>
    static class LineReader
    {
        public static List<(Labels Labels, long Time, double Value)> Read(string text)
        {
            Assert.EndsWith("\n", text, StringComparison.Ordinal);
            return [.. text[..^1].Split('\n').Select(Line)];
        }

        static (Labels, long, double) Line(string line)
        {
            Assert.DoesNotContain(line, c => c is < ' ' or '\x7f');
            Assert.NotEqual('#', line[0]);
            var at = 0;
            List<Label> labels = [new(Labels.MetricName, Decoded(Until(line, ref at, ", ")))];
            while (line[at] == ',')
            {
                at++;
                var tag = Until(line, ref at, "=, ");
                Assert.Equal('=', line[at++]);
                Assert.False(tag is "time" or "value" or "special" || tag[0] == '_', tag);
                var value = Until(line, ref at, ", =");
                Assert.NotEmpty(value);
                labels.Add(new(Decoded(tag), Decoded(value)));
            }

            var rest = line[(at + 1)..].Split(' ');
            Assert.Equal(2, rest.Length);
            return (Labels.From(labels), long.Parse(rest[1], CultureInfo.InvariantCulture), Field(rest[0]));
        }

        static double Field(string field) => field.Split('=') switch
        {
            ["value", var number] => double.Parse(number, CultureInfo.InvariantCulture),
            ["special", "0i"] => BitConverter.UInt64BitsToDouble(0x7ff8000000000001),
            ["special", "1i"] => BitConverter.UInt64BitsToDouble(0x7ff0000000000002),
            ["special", "2i"] => double.PositiveInfinity,
            ["special", "3i"] => double.NegativeInfinity,
            ["special", [.. var bits, 'i']] => BitConverter.Int64BitsToDouble(long.Parse(bits, CultureInfo.InvariantCulture)),
            _ => throw new FormatException(field),
        };

        // A backslash before one of the three escapes it; before anything else it is itself.
        static string Until(string line, ref int at, string ends)
        {
            var text = new StringBuilder();
            for (; !ends.Contains(line[at], StringComparison.Ordinal); at++)
            {
                if (line[at] == '\\' && line[at + 1] is ',' or '=' or ' ')
                    at++;
                text.Append(line[at]);
            }

            return text.ToString();
        }

        static string Decoded(string text) => text == "%"
            ? "" : Regex.Replace(text, "%([0-9A-F]{2})", m => ((char)Convert.ToInt32(m.Groups[1].Value, 16)).ToString());
    }

    /// <summary>Gives no more than a part at once, as a network does.</summary>
    sealed class PartStream(byte[] bytes, int part) : MemoryStream(bytes)
    {
        public override int Read(Span<byte> buffer) => base.Read(buffer[..Math.Min(buffer.Length, part)]);
    }
}
