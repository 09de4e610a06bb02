using Whistle.Access;
using Whistle.Actions.Files;
using Whistle.Data;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Hosting;

/// <summary>The data folder of a server that is about to run: its lock, its reserve and its secrets, all closed together.</summary>
sealed class OpenFolder : IDisposable
{
    const string Embedded = "embedded";

    readonly List<string> _setAside = [];
    readonly string? _closed;

    /// <exception cref="StartException">
    /// Another process has the folder, somebody else could have put something there, or a secret cannot be used.
    /// </exception>
    public OpenFolder(WhistleOptions options)
    {
        var folder = options.DataFolder;
        // First of all: what another process has open must not be looked at, let alone made again.
        ServerFolder.RefuseBackup(folder);
        Lock = ServerLock.TakeForServer(folder, Console.Error.WriteLine);
        try
        {
            _closed = ServerFolder.Prepare(folder);
            ServerFolder.Trusted(folder, Lock.RefuseOlderServer);
            Reserve = new StateReserve(folder, Path.Combine(folder, ServerFolder.State), options.Disk.StateReserve);
            Reserve.Open();
            Access = Secret(() => new LocalAccess(folder, options.Time, _setAside.Add));
            Owner = Secret(() => OwnerName(options, _setAside.Add));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public ServerLock Lock { get; }

    public StateReserve Reserve { get; }

    public LocalAccess Access { get; }

    /// <summary>A name of this server's own, for the runs that it works on.</summary>
    public string Owner { get; }

    /// <summary>A name of this server's own for people: of several on one database, each has another.</summary>
    public string Instance => Owner == Embedded ? Environment.MachineName : $"{Environment.MachineName}-{Owner[..8]}";

    /// <summary>Says what was found wrong with it and put right.</summary>
    public void Report(HealthBoard health, ILogger<OpenFolder> logger)
    {
        if (_closed is not null)
            logger.FilesClosed(_closed);
        foreach (var what in _setAside)
            SetAside.Report("secrets", what, health, logger);
    }

    public void Dispose()
    {
        Reserve?.Dispose();
        Lock.Dispose();
    }

    static T Secret<T>(Func<T> get)
    {
        try
        {
            return get();
        }
        catch (SecretException e)
        {
            throw new StartException(e.Message, e);
        }
    }

    // The state's file lets one process in, and it is opened first; a database may be shared with a server of another data folder.
    static string OwnerName(WhistleOptions options, Action<string> say) => options.UsesPostgreSql
        ? new SecretFile(Path.Combine(options.DataFolder, ServerFolder.Owner), ServerFolder.OwnerForm)
            .ReadOrMake(() => Guid.NewGuid().ToString("N"), options.Time, say)
        : Embedded;
}
