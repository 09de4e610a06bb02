using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Whistle.Inventory.People;

/// <summary>The codes of authenticator apps: RFC 6238 with SHA-1, six digits and steps of 30 seconds, as every app makes them.</summary>
public static class OneTimeCodes
{
    public const int Digits = 6;

    const int StepSeconds = 30;
    const int KeyBytes = 20;

    // Clocks of phones are not quite right.
    const int Skew = 1;

    const string Base32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

    /// <summary>A key for an app, in base32.</summary>
    public static string NewKey() => Encode(RandomNumberGenerator.GetBytes(KeyBytes));

    /// <summary>What an app reads from a picture.</summary>
    public static string Uri(string name, string key) =>
        $"otpauth://totp/Whistle:{System.Uri.EscapeDataString(name)}?secret={key}&issuer=Whistle&digits={Digits}&period={StepSeconds}";

    public static long StepOf(DateTimeOffset at) => at.ToUnixTimeSeconds() / StepSeconds;

    /// <summary>The code of a step.</summary>
    public static string CodeOf(ReadOnlySpan<byte> key, long step, int digits = Digits)
    {
        Span<byte> counter = stackalloc byte[8];
        BinaryPrimitives.WriteInt64BigEndian(counter, step);
        Span<byte> hash = stackalloc byte[HMACSHA1.HashSizeInBytes];
#pragma warning disable CA5350 // The algorithm of the RFC; apps know no other.
        HMACSHA1.HashData(key, counter, hash);
#pragma warning restore CA5350
        var truncated = BinaryPrimitives.ReadInt32BigEndian(hash[(hash[^1] & 0xf)..]) & 0x7fffffff;
        var code = (truncated % (long)Math.Pow(10, digits)).ToString(CultureInfo.InvariantCulture);
        return code.PadLeft(digits, '0');
    }

    /// <summary>The step whose code it is; null where it is of none about now, or of one that is not after the last one used.</summary>
    /// <param name="key">In base32.</param>
    /// <param name="lastStep">Of the last code that was used: none counts twice.</param>
    public static long? Find(string key, string code, DateTimeOffset now, long lastStep)
    {
        var (bytes, given) = (Decode(key), Encoding.UTF8.GetBytes(code));
        long? found = null;
        for (var step = StepOf(now) - Skew; step <= StepOf(now) + Skew; step++)
        {
            if (CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(CodeOf(bytes, step)), given) && step > lastStep)
                found = step;
        }

        return found;
    }

    internal static string Encode(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        var (buffer, bits) = (0, 0);
        foreach (var b in bytes)
        {
            (buffer, bits) = ((buffer << 8 | b) & 0xfff, bits + 8);
            for (; bits >= 5; bits -= 5)
                text.Append(Base32[buffer >> (bits - 5) & 31]);
        }

        return bits == 0 ? text.ToString() : text.Append(Base32[buffer << (5 - bits) & 31]).ToString();
    }

    /// <exception cref="FormatException">It is no base32.</exception>
    internal static byte[] Decode(string text)
    {
        List<byte> bytes = [];
        var (buffer, bits) = (0, 0);
        foreach (var c in text)
        {
            if (Base32.IndexOf(c, StringComparison.Ordinal) is not (>= 0 and var value))
                throw new FormatException("The key is no base32.");
            (buffer, bits) = ((buffer << 5 | value) & 0xfff, bits + 5);
            if (bits < 8)
                continue;
            bits -= 8;
            bytes.Add((byte)(buffer >> bits));
        }

        return [.. bytes];
    }
}
