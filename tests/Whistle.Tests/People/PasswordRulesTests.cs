using Whistle.Inventory.People;

using Xunit;

namespace Whistle.Tests.People;

public sealed class PasswordRulesTests
{
    [Theory]
    [InlineData("correct horse battery staple")]
    [InlineData("Tr0ub4dor&3xylo")]
    [InlineData("mein kater frisst keine gurken")]
    [InlineData("пароль из четырёх слов")]
    [InlineData("k7#Vq2!mZp9x")]
    [InlineData("739104826153")]
    public void Whatever_is_long_and_not_guessed_early_is_taken(string password) => Assert.Null(PasswordRules.Mistake(password, "ann"));

    [Theory]
    [InlineData(null, "at least 12")]
    [InlineData("", "at least 12")]
    [InlineData("k7#Vq2!mZp9", "at least 12")]
    [InlineData("the cat of Annika sleeps", "contains your name")]
    [InlineData("aaaaaaaaaaaa", "repeats itself")]
    [InlineData("aaaabbbbccccdddd", "repeats itself")]
    [InlineData("k7#Vqk7#Vqk7#Vq", "repeats itself")]
    [InlineData("abcdefghijkl", "repeats itself")]
    [InlineData("123456789012", "repeats itself")]
    [InlineData("qwertyuiop[]", "repeats itself")]
    [InlineData("qwertyuiopasdf", "repeats itself")]
    [InlineData("password1234", "guessed early")]
    [InlineData("P@ssw0rd!2026", "guessed early")]
    [InlineData("Welcome2026!!", "guessed early")]
    [InlineData("letmeinplease1", "guessed early")]
    [InlineData("administrator", "guessed early")]
    public void What_is_short_or_guessed_early_is_refused_with_the_reason(string? password, string reason)
    {
        var mistake = PasswordRules.Mistake(password, "annika");
        Assert.Contains(reason, mistake, StringComparison.Ordinal);
        Assert.True(string.IsNullOrEmpty(password) || !mistake!.Contains(password, StringComparison.Ordinal));
    }

    [Fact]
    public void A_password_of_more_than_256_characters_is_refused() => Assert.Contains(
        "at most 256", PasswordRules.Mistake(string.Concat(Enumerable.Range(0, 257).Select(i => (char)('a' + (i * 7 % 26)))), "ann"),
        StringComparison.Ordinal);
}
