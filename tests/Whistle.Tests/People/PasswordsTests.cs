using System.Buffers.Binary;

using Whistle.Inventory.People;

using Xunit;

namespace Whistle.Tests.People;

/// <summary>What is kept of a password, and what counts as the same one.</summary>
public sealed class PasswordsTests : IDisposable
{
    const int HmacSha512 = 2;

    readonly Passwords _passwords = new(new());

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _passwords.Dispose();

    [Fact]
    public async Task What_is_kept_is_210_000_rounds_of_PBKDF2_with_SHA_512_and_a_salt_of_its_own()
    {
        var (one, other) = (await HashAsync("correct horse battery staple"),
            await HashAsync("correct horse battery staple"));
        Assert.NotEqual(one, other);

        // The form of ASP.NET Core Identity: version, algorithm, rounds, length of the salt, salt, key.
        var bytes = Convert.FromBase64String(one!);
        Assert.Equal((1, HmacSha512, 210_000, 16), (bytes[0], Number(1), Number(5), Number(9)));
        Assert.Equal(13 + 16 + 32, bytes.Length);

        int Number(int at) => BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(at));
    }

    [Theory]
    [InlineData("correct horse battery staple", "Correct horse battery staple")]
    [InlineData("correct horse battery staple", "correct horse battery staple ")]
    [InlineData("correct horse battery staple", " correct horse battery staple")]
    [InlineData("pässwörter sind lang", "passworter sind lang")]
    [InlineData("\u00e9t\u00e9 sur la plage", "e\u0301te\u0301 sur la plage")]
    public async Task A_password_counts_as_it_was_typed(string chosen, string other) => Assert.Equal(
        (true, false),
        (await VerifyAsync(await HashAsync(chosen), chosen) is true,
            await VerifyAsync(await HashAsync(chosen), other) is true));

    [Fact]
    public async Task The_last_of_256_characters_counts()
    {
        var random = new Random(7);
        var longest = new string([.. Enumerable.Range(0, PasswordRules.Longest).Select(_ => (char)random.Next('a', 'z' + 1))]);
        Assert.Null(PasswordRules.Mistake(longest, "ann"));
        var hash = await HashAsync(longest);

        Assert.True(await VerifyAsync(hash, longest));
        Assert.False(await VerifyAsync(hash, longest[..^1] + "0"));
        Assert.False(await VerifyAsync(hash, longest[..^1]));
    }

    [Theory]
    [InlineData("whistle-admin1")]
    [InlineData("Wh1stleServer!")]
    [InlineData("kubernetes2026")]
    [InlineData("KubernetesCluster1")]
    [InlineData("monitoring-system")]
    [InlineData("company!login!")]
    public void Words_of_the_product_and_its_trade_are_guessed_early(string password) => Assert.Contains(
        "guessed early", PasswordRules.Mistake(password, "ann"), StringComparison.Ordinal);

    Task<string?> HashAsync(string password) => _passwords.HashAsync(password, "ann", null, Cancellation);

    Task<bool?> VerifyAsync(string? hash, string password) => _passwords.VerifyAsync(hash, password, "ann", null, Cancellation);
}
