using System.Text;

using Whistle.PromQL;

using Xunit;

namespace Whistle.Tests;

public sealed class GoNumberTests
{
    [Theory]
    [InlineData(0, "0")]
    [InlineData(-0.0, "-0")]
    [InlineData(-17, "-17")]
    [InlineData(0.1, "0.1")]
    [InlineData(999_999_999_999_999, "999999999999999")]
    [InlineData(1e15, "1000000000000000")]
    [InlineData(-1.5e300, null)]
    [InlineData(1e21, "1000000000000000000000")]
    [InlineData(0.0000125, "0.0000125")]
    [InlineData(double.Epsilon, null)]
    [InlineData(-double.MaxValue, null)]
    [InlineData(-2.2250738585072014E-308, null)]
    [InlineData(double.NaN, "NaN")]
    [InlineData(double.PositiveInfinity, "+Inf")]
    [InlineData(double.NegativeInfinity, "-Inf")]
    public void A_number_is_the_same_as_text_and_as_bytes(double value, string? text)
    {
        Span<byte> bytes = stackalloc byte[GoNumber.MaxLength];

        var written = Encoding.UTF8.GetString(bytes[..GoNumber.WithoutExponent(value, bytes)]);

        Assert.Equal(text ?? GoNumber.WithoutExponent(value), written);
    }
}
