using Whistle.Access;
using Whistle.Data;
using Whistle.Tls;

namespace Whistle.Hosting;

/// <summary>Keeps <see cref="Listening"/> of the data folder as it is.</summary>
sealed class ListeningFile(WhistleOptions options, IServiceProvider services, ILogger<ListeningFile> logger)
{
    byte[]? _written;
    volatile bool _isBound;
    bool _failed;

    /// <summary>Once all addresses are bound.</summary>
    public void Write()
    {
        _isBound = true;
        Look();
    }

    /// <summary>Writes it where it could not be written before, or a certificate was replaced, which has another fingerprint.</summary>
    public void Look()
    {
        if (!_isBound || (_written is not null && !options.UsesTls))
            return;
        var now = Now().ToBytes();
        if (_written is not null && now.AsSpan().SequenceEqual(_written))
            return;
        try
        {
            Listening.Write(options.DataFolder, now);
            (_written, _failed) = (now, false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A verb finds nothing then, or what proves nothing: it does not go astray.
            if (!_failed)
                logger.ListeningNotWritten(Listening.FileName, options.DataFolder, e.Message);
            _failed = true;
        }
    }

    /// <summary>Of an earlier start, or at the end of this one: nobody is there then.</summary>
    public void Remove()
    {
        _isBound = false;
        try
        {
            File.Delete(Path.Combine(options.DataFolder, Listening.FileName));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            logger.ListeningNotWritten(Listening.FileName, options.DataFolder, e.Message);
        }
    }

    Listening Now()
    {
        var addresses = BoundAddresses.Of(services);
        var certificate = services.GetService<CertificateSource>();
        return new(
            Environment.ProcessId, WhistleOptions.LocalOf(addresses.Take(options.Listen.Count)), addresses,
            certificate?.ProvenBy);
    }
}
