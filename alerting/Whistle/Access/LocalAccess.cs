using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

using Whistle.Actions.Files;
using Whistle.Data;
using Whistle.Telemetry;

namespace Whistle.Access;

/// <summary>
/// Access from the machine itself: a token in the data folder that only its owner can read, login links that work once, and the sessions
/// that they begin.
/// </summary>
sealed class LocalAccess : IDisposable
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
        var token = new SecretFile(Path.Combine(dataFolder, ServerFolder.Token), ServerFolder.TokenForm).ReadOrMake(
            () => AccessToken.New(AccessToken.OfServer), time, say);
        var instance = new SecretFile(Path.Combine(dataFolder, ServerFolder.Instance), ServerFolder.InstanceForm).ReadOrMake(
            () => AccessToken.New("wsi_"), time, say);
        _token = Encoding.UTF8.GetBytes(token);
        CookieSuffix = HashOf(instance)[..12].ToLowerInvariant();
        // By real time, as a browser counts, whatever clock the server runs on.
        Sessions = new Sessions(Path.Combine(dataFolder, ServerFolder.Sessions), token, TimeProvider.System, say);
    }

    public Sessions Sessions { get; }

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
        _links[HashOf(secret)] = _time.GetUtcNow() + LinkLife;
        return secret;
    }

    public bool UseLink(string secret) => _links.TryRemove(HashOf(secret), out var until) && _time.GetUtcNow() < until;

    public void Dispose() => Sessions.Dispose();

    // What is looked up by a hash is not given away by the time that its comparison takes.
    static string HashOf(string secret) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));
}
