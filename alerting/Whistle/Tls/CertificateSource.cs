using System.Security.Cryptography;

using Whistle.Actions.Files;
using Whistle.Agent.Settings;
using Whistle.Data;
using Whistle.State.Health;

namespace Whistle.Tls;

/// <summary>
/// The certificate in use: that of the files that are named, read again when they change, or one of the server's own authority. One that
/// will not do never takes the place of one that does.
/// </summary>
sealed class CertificateSource
{
    const string Component = "tls";
    const string Subject = "certificate";

    // The names of the machine are not cheap to ask for.
    static readonly TimeSpan NamesAreAskedEvery = TimeSpan.FromMinutes(1);

    // Those who renew by hand need days; what renews by itself does it a month before.
    static readonly TimeSpan EndsSoon = TimeSpan.FromDays(14);

    readonly TlsOptions _options;
    readonly IReadOnlyList<string> _names;
    readonly TimeProvider _time;
    readonly HealthBoard _health;
    readonly ILogger<CertificateSource> _logger;
    readonly OwnAuthority? _authority;
    readonly string _ownFile;
    CertificateFiles? _inUse;
    string? _suspected;
    string? _broken;
    long? _named;
    volatile ServerCertificate _current;

    /// <exception cref="StartException">There is no certificate to begin with.</exception>
    public CertificateSource(
        TlsOptions options, IReadOnlyList<string> names, string dataFolder, TimeProvider time, HealthBoard health,
        ILogger<CertificateSource> logger)
    {
        (_options, _names, _time, _health, _logger) = (options, names, time, health, logger);
        _ownFile = Path.Combine(dataFolder, ServerFolder.Certificate);
        try
        {
            if (_options.CertificateFile is null)
            {
                _authority = OwnAuthority.In(dataFolder, time);
                _current = _authority.Stored(_ownFile) is { } kept && !IsDue(kept) ? kept : Signed();
            }
            else
            {
                _inUse = ServerCertificate.Contents(_options);
                _current = ServerCertificate.Of(_inUse);
            }
        }
        catch (Exception e) when (e is CertificateException or SecretException or IOException or UnauthorizedAccessException
            or CryptographicException or ArgumentException)
        {
            throw new StartException($"The certificate cannot be used: {e.Message}", e);
        }
    }

    public ServerCertificate Current => _current;

    /// <summary>The fingerprint of the server's own authority; null where the certificate is from elsewhere.</summary>
    public string? AuthorityFingerprint => _authority is null ? null : ServerTrust.FingerprintOf(_authority.Certificate);

    /// <summary>
    /// The fingerprint that a connection to this server can be proven by: of its own authority, or of the certificate itself.
    /// </summary>
    public string ProvenBy => AuthorityFingerprint ?? ServerTrust.FingerprintOf(_current.Leaf);

    /// <summary>Looks for another certificate, and how long this one counts.</summary>
    public void Look()
    {
        if (_authority is null)
            Reload();
        else if (_named is not { } asked || _time.GetElapsedTime(asked) >= NamesAreAskedEvery)
        {
            _named = _time.GetTimestamp();
            Renew();
        }

        Report(_time.GetUtcNow());
    }

    void Renew()
    {
        try
        {
            if (IsDue(_current))
                _current = Signed();
            _broken = null;
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException or CertificateException)
        {
            Break($"No certificate can be signed: {e.Message}");
        }
    }

    void Reload()
    {
        try
        {
            var found = ServerCertificate.Contents(_options);
            if (found.HasSame(_inUse))
                (_suspected, _broken) = (null, null);
            else
                Take(found);
        }
        catch (CertificateException e)
        {
            Suspect(e.Message);
        }
    }

    void Take(CertificateFiles found)
    {
        var certificate = ServerCertificate.Of(found);
        var now = _time.GetUtcNow();
        if (certificate.EndsAt <= now && certificate.EndsAt < _current.EndsAt)
            throw new CertificateException($"The certificate in {found.Name} ended at {certificate.EndsAt:u}.");
        if (certificate.BeginsAt > now)
            throw new CertificateException($"The certificate in {found.Name} counts only from {certificate.BeginsAt:u} on.");
        (_current, _inUse, _suspected, _broken) = (certificate, found, null, null);
        _logger.CertificateReplaced(certificate.Leaf.Subject, certificate.EndsAt);
    }

    // Whoever replaces certificate and key does it one after the other: only what is broken at a second look is.
    void Suspect(string reason)
    {
        if (_suspected == reason)
            Break(reason);
        _suspected = reason;
    }

    void Break(string reason)
    {
        if (_broken != reason)
            _logger.CertificateBroken(reason);
        _broken = reason;
    }

    void Report(DateTimeOffset now)
    {
        var left = _current.EndsAt - now;
        var fix = _authority is null ? $"Replace {_options.CertificateFile}; the server need not be restarted."
            : "The server's own authority ends with it. Delete its file in the data folder and start the server again; "
                + "then all agents need the new fingerprint.";
        if (_broken is not null)
        {
            var end = left <= TimeSpan.Zero ? $" It ended at {_current.EndsAt:u}: agents and people cannot connect."
                : left < EndsSoon ? $" It ends at {_current.EndsAt:u}." : "";
            _health.Report(Component, Subject, HealthState.Degraded, $"{_broken} The certificate from before stays in use.{end}");
        }
        else if (left <= TimeSpan.Zero)
        {
            _health.Report(
                Component, Subject, HealthState.Degraded,
                $"The server's certificate ended at {_current.EndsAt:u}: agents and people cannot connect. {fix}");
        }
        else if (left < EndsSoon)
            _health.Report(Component, Subject, HealthState.Warning, $"The server's certificate ends at {_current.EndsAt:u}. {fix}");
        else
            _health.Clear(Component, Subject);
    }

    bool IsDue(ServerCertificate certificate) =>
        _authority!.IsDue(certificate, OwnAuthority.Names(_names), _time.GetUtcNow());

    ServerCertificate Signed()
    {
        var made = _authority!.Sign(OwnAuthority.Names(_names), _time.GetUtcNow(), _ownFile);
        _logger.CertificateReplaced(made.Leaf.Subject, made.EndsAt);
        return made;
    }
}
