using Whistle.Alerting.Configuration;

namespace Whistle.Tls;

/// <summary>
/// The certificate of addresses that begin with https. Without a file, the server is an authority of its own and signs itself one.
/// </summary>
sealed record TlsOptions
{
    /// <summary>PEM, the server's own certificate first, then those between it and its authority; or PFX, with the key in it.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM. By default the key is in the file of the certificate.</summary>
    public string? KeyFile { get; init; }

    /// <summary>Of the key, or of the PFX file.</summary>
    public string? PasswordFile { get; init; }

    public static TlsOptions Read(SettingsSection section) => new()
    {
        CertificateFile = section.Path(nameof(CertificateFile)),
        KeyFile = section.Path(nameof(KeyFile)),
        PasswordFile = section.Path(nameof(PasswordFile)),
    };

    public IEnumerable<OptionError> Errors()
    {
        if (CertificateFile is null && (KeyFile ?? PasswordFile) is not null)
            yield return new($"Tls:{nameof(CertificateFile)}", "the certificate is missing. Name its file, or leave out the others too.");
        else if (CertificateFile is not null && ServerCertificate.Fault(this) is { } reason)
            yield return new($"Tls:{nameof(CertificateFile)}", reason);
    }
}
