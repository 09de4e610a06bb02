using System.Text;

using Whistle.Inventory.People;

using Xunit;

namespace Whistle.Tests.People;

public sealed class OneTimeCodesTests
{
    // The key of RFC 6238, appendix B.
    static readonly byte[] Key = Encoding.ASCII.GetBytes("12345678901234567890");

    [Theory]
    [InlineData(59L, "94287082")]
    [InlineData(1111111109L, "07081804")]
    [InlineData(1111111111L, "14050471")]
    [InlineData(1234567890L, "89005924")]
    [InlineData(2000000000L, "69279037")]
    [InlineData(20000000000L, "65353130")]
    public void Codes_are_those_of_the_RFC(long seconds, string code)
    {
        var at = DateTimeOffset.FromUnixTimeSeconds(seconds);
        Assert.Equal(code, OneTimeCodes.CodeOf(Key, OneTimeCodes.StepOf(at), digits: 8));
        Assert.Equal(OneTimeCodes.StepOf(at), OneTimeCodes.Find(OneTimeCodes.Encode(Key), code[2..], at, 0));
    }

    [Fact]
    public void A_code_counts_for_a_step_before_and_after_and_once()
    {
        var now = DateTimeOffset.FromUnixTimeSeconds(1_800_000_000);
        var key = OneTimeCodes.NewKey();
        var step = OneTimeCodes.StepOf(now);
        foreach (var off in (long[])[-1, 0, 1])
            Assert.Equal(step + off, OneTimeCodes.Find(key, Code(step + off), now, step - 2));
        Assert.Null(OneTimeCodes.Find(key, Code(step - 2), now, 0));
        Assert.Null(OneTimeCodes.Find(key, Code(step + 2), now, 0));
        Assert.Null(OneTimeCodes.Find(key, Code(step), now, step));
        Assert.Equal(step + 1, OneTimeCodes.Find(key, Code(step + 1), now, step));
        Assert.Null(OneTimeCodes.Find(key, "", now, 0));

        string Code(long of) => OneTimeCodes.CodeOf(OneTimeCodes.Decode(key), of);
    }

    // RFC 4648, section 10.
    [Theory]
    [InlineData("f", "MY")]
    [InlineData("fo", "MZXQ")]
    [InlineData("foo", "MZXW6")]
    [InlineData("foob", "MZXW6YQ")]
    [InlineData("fooba", "MZXW6YTB")]
    [InlineData("foobar", "MZXW6YTBOI")]
    public void Keys_are_base32(string text, string encoded)
    {
        Assert.Equal(encoded, OneTimeCodes.Encode(Encoding.ASCII.GetBytes(text)));
        Assert.Equal(text, Encoding.ASCII.GetString(OneTimeCodes.Decode(encoded)));
    }
}
