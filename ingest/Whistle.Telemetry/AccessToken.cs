using System.Buffers;
using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Whistle.Telemetry;

/// <summary>A secret that Whistle makes: a prefix that says what it opens, then 256 random bits in base64url.</summary>
public static class AccessToken
{
    /// <summary>Opens everything on a server: the operator's.</summary>
    public const string OfServer = "wsa_";

    /// <summary>Sends telemetry as one node or one cluster.</summary>
    public const string OfSender = "wst_";

    /// <summary>Lets nodes of one cluster enrol themselves.</summary>
    public const string OfJoin = "wsj_";

    /// <summary>Asks the API in a person's name, within the grants that were given to it.</summary>
    public const string OfPerson = "wsp_";

    /// <summary>Lets somebody choose how to log in, once.</summary>
    public const string OfInvitation = "wsv_";

    const int RandomBytes = 32;

    // Of 32 bytes, without padding.
    const int RandomCharacters = 43;

    static readonly SearchValues<char> Base64UrlCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");

    public static string New(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(RandomBytes));

    /// <summary>
    /// What is kept of it, in capital hexadecimal digits. What is looked up by it is not given away by the time that takes.
    /// </summary>
    public static string HashOf(string token) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)));

    /// <summary>Whether the text can be a token with this prefix: neither cut off, nor with anything before, after or in between.</summary>
    public static bool IsWhole(string prefix, ReadOnlySpan<char> text) =>
        text.Length == prefix.Length + RandomCharacters && text.StartsWith(prefix, StringComparison.Ordinal)
        && !text[prefix.Length..].ContainsAnyExcept(Base64UrlCharacters);
}
