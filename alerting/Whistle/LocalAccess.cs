using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Whistle;

/// <summary>
/// Access from the machine itself: a token in the data folder that only its owner can read, and login links that work once.
/// </summary>
sealed class LocalAccess
{
    public const string TokenFileName = "token";

    static readonly TimeSpan LinkLife = TimeSpan.FromHours(1);

    readonly byte[] _token;
    readonly TimeProvider _time;
    readonly ConcurrentDictionary<string, DateTimeOffset> _links = new();

    public LocalAccess(string dataFolder, TimeProvider time)
    {
        _time = time;
        _token = Encoding.UTF8.GetBytes(ReadOrCreate(Path.Combine(dataFolder, TokenFileName), () => $"wsa_{Random()}"));
    }

    public bool IsToken(string candidate) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(candidate), _token);

    /// <summary>A secret that opens the dashboard once, within the hour.</summary>
    public string NewLink()
    {
        var secret = Random();
        _links[secret] = _time.GetUtcNow() + LinkLife;
        return secret;
    }

    public bool UseLink(string secret) => _links.TryRemove(secret, out var until) && _time.GetUtcNow() < until;

    /// <summary>The secret in the file, made where there is none yet, readable by the owner alone.</summary>
    public static string ReadOrCreate(string file, Func<string> make)
    {
        if (File.Exists(file))
            return File.ReadAllText(file).Trim();
        var secret = make();
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var stream = new FileStream(file, options);
        stream.Write(Encoding.UTF8.GetBytes(secret + "\n"));
        stream.Flush(flushToDisk: true);
        return secret;
    }

    static string Random() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
}
