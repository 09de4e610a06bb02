using Microsoft.Extensions.Time.Testing;

using Whistle.Actions.Files;
using Whistle.Fixtures;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Actions;

/// <summary>
/// What a file must hold to be a secret, and how one is made. Who may write and read it needs other users: see the acceptance tests.
/// </summary>
public sealed class SecretFileTests : IDisposable
{
    const string Whole = "wst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-secret").FullName;
    readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(Whole)]
    [InlineData(Whole + "\n")]
    [InlineData(Whole + "\r\n")]
    [InlineData("  " + Whole + " \n\n")]
    public void A_token_is_taken_without_the_line_end_and_the_spaces_around_it(string text) => Assert.Equal(Whole, Token(text).Read());

    [Theory]
    [InlineData("")]
    [InlineData("\n")]
    [InlineData("\u00a0")]
    [InlineData("\u00a0" + Whole)]
    [InlineData(Whole + "\u2003")]
    [InlineData("\ufeff" + Whole)]
    [InlineData("wst_")]
    [InlineData("wsa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("WST_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("wst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
    [InlineData(Whole + "A")]
    [InlineData(Whole + "\n" + Whole)]
    [InlineData("wst_AAAAAAAAAAAAAAAAAAAAA AAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("wst_AAAAAAAAAAAAAAAAAAAAA+AAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("wst_AAAAAAAAAAAAAAAAAAAAA\0AAAAAAAAAAAAAAAAAAAAA")]
    [InlineData("\t" + Whole)]
    public void What_is_not_a_whole_token_is_damaged_and_never_an_empty_one(string text) =>
        Assert.Equal(SecretTrouble.Damaged, Assert.Throws<SecretException>(() => Token(text).Read()).Trouble);

    [Theory]
    [InlineData("p", "p")]
    [InlineData(" pass word \n", "pass word")]
    [InlineData("pässwörd\u00a0\n", "pässwörd\u00a0")]
    [InlineData("\u00a0p", "\u00a0p")]
    public void Somebody_elses_secret_keeps_all_but_ASCII_around_it(string text, string secret) => Assert.Equal(secret, Line(text).Read());

    [Theory]
    [InlineData("", "is empty")]
    [InlineData(" \r\n", "is empty")]
    [InlineData("\u00a0\u2003\n", "nothing but spaces")]
    [InlineData("a\nb", "more than one line")]
    [InlineData("a\rb", "more than one line")]
    [InlineData("a\tb", "control characters")]
    [InlineData("a\0", "control characters")]
    [InlineData("a\u0085b", "control characters")]
    [InlineData("a\u2028b", "control characters")]
    [InlineData("\ufeffa", "byte order mark")]
    public void Somebody_elses_secret_is_one_line_of_text(string text, string reason)
    {
        var refused = Assert.Throws<SecretException>(() => Line(text).Read());
        Assert.Equal(SecretTrouble.Damaged, refused.Trouble);
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
        Assert.Contains("and nothing else", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bytes_that_are_no_text_and_too_many_of_them_are_damaged_and_not_shown()
    {
        var path = PrivateText.Write(Path.Combine(_folder, "s"), "");
        File.WriteAllBytes(path, [.. "secret"u8, 0xff]);
        var garbled = Assert.Throws<SecretException>(() => new SecretFile(path, SecretForm.Line("the password")).Read());
        File.WriteAllBytes(path, new byte[(8 << 10) + 1]);
        var large = Assert.Throws<SecretException>(() => new SecretFile(path, SecretForm.Line("the password")).Read());

        Assert.Equal((SecretTrouble.Damaged, SecretTrouble.Damaged), (garbled.Trouble, large.Trouble));
        Assert.DoesNotContain("secret\ufffd", garbled.Message, StringComparison.Ordinal);
        Assert.Contains("8193 bytes", large.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_secret_is_made_once_for_its_owner_alone_and_leaves_nothing_beside_it()
    {
        var file = TheFile();
        var first = file.ReadOrMake(() => Whole, _time, Assert.Fail);
        var second = file.ReadOrMake(() => throw new InvalidOperationException("made twice"), _time, Assert.Fail);

        Assert.Equal((Whole, Whole), (first, second));
        Assert.Equal([Path.Combine(_folder, "token")], Directory.GetFileSystemEntries(_folder));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, "token")));
    }

    [Fact]
    public void A_damaged_secret_is_set_aside_and_said_before_another_is_made()
    {
        var path = PrivateText.Write(Path.Combine(_folder, "token"), "half");
        List<string> said = [];
        Assert.Equal(Whole, TheFile().ReadOrMake(() => Whole, _time, said.Add));

        var aside = path + ".damaged-20260301T120000000Z";
        Assert.Equal("half", File.ReadAllText(aside));
        Assert.Contains(aside, Assert.Single(said), StringComparison.Ordinal);
        Assert.DoesNotContain("half", said[0], StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_made_with_the_wrong_form_is_not_taken_either() =>
        Assert.Equal(
            SecretTrouble.Damaged, Assert.Throws<SecretException>(() => TheFile().ReadOrMake(() => "", _time, Assert.Fail)).Trouble);

    [Fact]
    public void Of_many_that_make_one_at_the_same_time_all_have_the_same()
    {
        var secrets = new string[32];
        Parallel.For(
            0, secrets.Length, i => secrets[i] = TheFile().ReadOrMake(() => AccessToken.New(AccessToken.OfSender), _time, Assert.Fail));

        Assert.Single(secrets.Distinct());
        Assert.Single(Directory.GetFileSystemEntries(_folder));
    }

    [Fact]
    public void A_whole_file_takes_the_place_of_another_or_does_not_touch_it()
    {
        var path = PrivateText.Write(Path.Combine(_folder, "list"), "old");
        Assert.False(WholeFile.TryCreate(path, "new"u8));
        Assert.Equal("old", File.ReadAllText(path));
        WholeFile.Replace(path, "new"u8);
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Throws<DirectoryNotFoundException>(() => WholeFile.Replace(Path.Combine(_folder, "none", "list"), "x"u8));
        Assert.Equal([path], Directory.GetFileSystemEntries(_folder));
    }

    SecretFile TheFile() => new(Path.Combine(_folder, "token"), SecretForm.Token("the token", AccessToken.OfSender));

    SecretFile Token(string text) =>
        new(PrivateText.Write(Path.Combine(_folder, "token"), text), SecretForm.Token("the token", AccessToken.OfSender));

    SecretFile Line(string text) => new(PrivateText.Write(Path.Combine(_folder, "line"), text), SecretForm.Line("the password"));
}
