using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

using Whistle.Actions.Files;
using Whistle.Data;
using Whistle.Telemetry;

namespace Whistle.Access;

/// <summary>
/// Access from the machine itself: a token in the data folder that only its owner can read, and login links that work once.
/// </summary>
sealed class LocalAccess
{
    static readonly TimeSpan LinkLife = TimeSpan.FromHours(1);

    readonly byte[] _token;
    readonly TimeProvider _time;
    readonly ConcurrentDictionary<string, DateTimeOffset> _links = new();

    /// <param name="say">Called with the description of secrets that were damaged.</param>
    /// <exception cref="SecretException">A secret can be neither read nor made.</exception>
    public LocalAccess(string dataFolder, TimeProvider time, Action<string> say)
    {
        _time = time;
        Token = new SecretFile(Path.Combine(dataFolder, ServerFolder.Token), ServerFolder.TokenForm).ReadOrMake(
            () => AccessToken.New(AccessToken.OfServer), time, say);
        var instance = new SecretFile(Path.Combine(dataFolder, ServerFolder.Instance), ServerFolder.InstanceForm).ReadOrMake(
            () => AccessToken.New("wsi_"), time, say);
        _token = Encoding.UTF8.GetBytes(Token);
        CookieSuffix = AccessToken.HashOf(instance)[..12].ToLowerInvariant();
        // Older versions kept sessions here.
        File.Delete(Path.Combine(dataFolder, ServerFolder.Sessions));
    }

    public string Token { get; }

    /// <summary>
    /// Keeps the cookies of this server apart from those of another on the same host: browsers send cookies to every port of it.
    /// </summary>
    public string CookieSuffix { get; }

    public bool IsToken(string candidate) => CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(candidate), _token);

    /// <summary>A secret that opens the dashboard once, within the hour.</summary>
    public string NewLink()
    {
        foreach (var (hash, until) in _links)
        {
            if (until <= _time.GetUtcNow())
                _links.TryRemove(hash, out _);
        }

        var secret = AccessToken.New("");
        _links[AccessToken.HashOf(secret)] = _time.GetUtcNow() + LinkLife;
        return secret;
    }

    public bool UseLink(string secret) => _links.TryRemove(AccessToken.HashOf(secret), out var until) && _time.GetUtcNow() < until;
}
