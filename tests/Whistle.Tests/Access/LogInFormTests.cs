using Microsoft.AspNetCore.DataProtection;
using Microsoft.Extensions.Time.Testing;

using Whistle.Access;

using Xunit;

namespace Whistle.Tests.Access;

/// <summary>What a log-in tells by its time, and what its forms carry.</summary>
public sealed class LogInFormTests
{
    [Theory]
    [InlineData(0, 500)]
    [InlineData(120, 380)]
    [InlineData(499, 1)]
    [InlineData(500, 500)]
    [InlineData(620, 380)]
    [InlineData(1_750, 250)]
    public void A_failure_is_answered_at_a_multiple_of_half_a_second_from_its_start(int took, int rest) =>
        Assert.Equal(TimeSpan.FromMilliseconds(rest), PasswordLogIn.Rest(TimeSpan.FromMilliseconds(took)));

    [Fact]
    public void What_a_form_carries_opens_whole_until_its_time_is_over()
    {
        var time = new FakeTimeProvider(new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero));
        var protection = new EphemeralDataProtectionProvider();
        var texts = new EncryptedText(protection, "a", 2, TimeSpan.FromMinutes(5), time);
        var text = texts.Encrypt("ann", "one\ntwo");
        Assert.Equal(["ann", "one\ntwo"], texts.Decrypt(text)!.Value.Texts);
        Assert.Equal(time.GetUtcNow().AddMinutes(5), texts.Decrypt(text)!.Value.Until);
        Assert.Null(texts.Decrypt(text[..^2]));
        Assert.Null(texts.Decrypt(""));
        Assert.Null(new EncryptedText(protection, "b", 2, TimeSpan.FromMinutes(5), time).Decrypt(text));
        Assert.Null(new EncryptedText(protection, "a", 4, TimeSpan.FromMinutes(5), time).Decrypt(text));

        time.Advance(TimeSpan.FromMinutes(5) - TimeSpan.FromSeconds(1));
        Assert.NotNull(texts.Decrypt(text));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(texts.Decrypt(text));
    }
}
