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
    [InlineData("nine quiet lamps on a boat")]
    [InlineData("drei blaue Wolken am See")]
    [InlineData("die schlaue Katze isst nie")]
    [InlineData("こんにちは世界の猫と月と犬")]
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
    [InlineData("unbelievable", "guessed early")]
    [InlineData("christopher1985", "guessed early")]
    [InlineData("liverpool1234", "guessed early")]
    [InlineData("monkeybusiness", "guessed early")]
    [InlineData("january-february", "guessed early")]
    [InlineData("Manchester-United", "guessed early")]
    [InlineData("M0nk3yBus1n3ss!", "guessed early")]
    [InlineData("Whistle-Kubernetes", "guessed early")]
    [InlineData("geheim-passwort1", "guessed early")]
    [InlineData("1985-10-26-1985", "guessed early")]
    [InlineData("2024-10-26-2024", "guessed early")]
    [InlineData("26.10.2026-home", "guessed early")]
    [InlineData("Spring2026##", "guessed early")]
    [InlineData("Winter-2031!", "guessed early")]
    public void What_is_short_or_guessed_early_is_refused_with_the_reason(string? password, string reason)
    {
        var mistake = PasswordRules.Mistake(password, "annika");
        Assert.Contains(reason, mistake, StringComparison.Ordinal);
        Assert.True(string.IsNullOrEmpty(password) || !mistake!.Contains(password, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("schwarzenbeck1", "anna.schwarzenbeck")]
    [InlineData("S(hw4rzenbe(k", "anna-schwarzenbeck")]
    public void A_part_of_the_name_is_guessed_early(string password, string name)
    {
        Assert.Contains("guessed early", PasswordRules.Mistake(password, name), StringComparison.Ordinal);
        Assert.Null(PasswordRules.Mistake("five onions sing to " + password, name));
    }

    // What takes the library seconds where all of it is looked at.
    [Fact]
    public void Only_the_beginning_of_a_long_password_is_looked_up()
    {
        var good = "correct horse battery staple, nine quiet lamps on a boat, no wind";
        Assert.Null(PasswordRules.Mistake(good + string.Concat(Enumerable.Repeat("p@$$w0rd4", 21)), "ann"));
        Assert.NotNull(PasswordRules.Mistake(string.Concat(Enumerable.Repeat("Password", 9)) + good, "ann"));
    }

    [Fact]
    public void A_password_of_more_than_256_characters_is_refused() => Assert.Contains(
        "at most 256", PasswordRules.Mistake(string.Concat(Enumerable.Range(0, 257).Select(i => (char)('a' + (i * 7 % 26)))), "ann"),
        StringComparison.Ordinal);
}
