using System.Globalization;
using System.Security.Cryptography;

using Microsoft.AspNetCore.DataProtection;

namespace Whistle.Access;

/// <summary>
/// What a form carries from one page of the server's to the next, for a time: whoever has it can neither read nor change it.
/// </summary>
/// <param name="purpose">What is encrypted for one is nothing to another.</param>
/// <param name="parts">How many texts it is; only the last may have several lines.</param>
/// <param name="lasts">To the second.</param>
sealed class EncryptedText(IDataProtectionProvider protection, string purpose, int parts, TimeSpan lasts, TimeProvider time)
{
    readonly IDataProtector _protector = protection.CreateProtector(purpose);

    public string Encrypt(params string[] texts) => _protector.Protect(
        string.Join('\n', [(time.GetUtcNow() + lasts).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture), .. texts]));

    /// <summary>Null where it was not encrypted here, or its time is over.</summary>
    public (string[] Texts, DateTimeOffset Until)? Decrypt(string text)
    {
        try
        {
            return _protector.Unprotect(text).Split('\n', parts + 1) is [var end, .. var texts] && texts.Length == parts
                && long.TryParse(end, CultureInfo.InvariantCulture, out var seconds)
                && DateTimeOffset.FromUnixTimeSeconds(seconds) is var until && time.GetUtcNow() < until ? (texts, until) : null;
        }
        catch (CryptographicException)
        {
            return null;
        }
    }
}
