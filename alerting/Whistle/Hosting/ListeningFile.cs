using Whistle.Access;
using Whistle.Data;
using Whistle.Tls;

namespace Whistle.Hosting;

/// <summary>Keeps <see cref="Listening"/> of the data folder as it is.</summary>
sealed class ListeningFile(WhistleOptions options, IServiceProvider services, ILogger<ListeningFile> logger)
{
    readonly Lock _writing = new();
    readonly string _started = Listening.StartOf(Environment.ProcessId) ?? "";
    byte[]? _written;
    bool _isBound;
    bool _failed;

    string FullPath => Path.Combine(options.DataFolder, Listening.FileName);

    /// <summary>Once all addresses are bound.</summary>
    public void Write()
    {
        lock (_writing)
        {
            _isBound = true;
            Look();
        }
    }

    /// <summary>Writes it where it is not there, or a certificate was replaced, which has another fingerprint.</summary>
    public void Look()
    {
        lock (_writing)
        {
            if (!_isBound)
                return;
            var now = Now().ToBytes();
            if (_written is not null && now.AsSpan().SequenceEqual(_written) && File.Exists(FullPath))
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
    }

    /// <summary>Of an earlier start, or before this one's addresses are given up: nobody is there then.</summary>
    public void Remove()
    {
        lock (_writing)
        {
            _isBound = false;
            try
            {
                File.Delete(FullPath);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                logger.ListeningNotWritten(Listening.FileName, options.DataFolder, e.Message);
            }
        }
    }

    Listening Now()
    {
        var addresses = BoundAddresses.Of(services);
        var certificate = services.GetService<CertificateSource>();
        return new(
            Environment.ProcessId, _started, WhistleOptions.LocalOf(addresses.Take(options.Listen.Count)), addresses,
            certificate?.ProvenBy);
    }
}
