using Whistle.Actions.Files;
using Whistle.Telemetry;

namespace Whistle.Data;

/// <summary>
/// What lies in the data folder, and that it is the server's alone: who can write there is the server's operator, and decides what it
/// repairs. A folder of another user's is refused to root as to anybody: its owner could exchange what root then believes. Whoever wants
/// that user to be in charge runs the server as that user.
/// </summary>
static class ServerFolder
{
    public const string Token = "token";
    public const string Instance = "instance";
    public const string Owner = "owner";

    /// <summary>Of older versions; the state has them now.</summary>
    public const string Sessions = "sessions";

    public const string Keys = "keys";
    public const string Tls = "tls";
    public const string Telemetry = "telemetry";
    public const string State = "state.sqlite";

    /// <summary>It says that the state was copied to PostgreSQL, and that the file beside it is out of date.</summary>
    public const string StateMoved = "state-moved";

    /// <summary>It makes a folder a backup.</summary>
    public const string BackupManifest = "backup.json";

    const int RandomOwner = 32;

    public static readonly string AgentToken = Path.Combine("agent", "token");

    public static readonly SecretForm TokenForm = SecretForm.Token("the server's token", AccessToken.OfServer);
    public static readonly SecretForm InstanceForm = SecretForm.Token("the server's instance", "wsi_");
    public static readonly SecretForm AgentTokenForm = SecretForm.Token("the token of this machine's agent", AccessToken.OfSender);
    public static readonly SecretForm OwnerForm = new("the name that this server owns runs by", 256, text =>
        text.Length == RandomOwner && text.All(char.IsAsciiHexDigitLower) ? null : $"holds no name of {RandomOwner} hexadecimal digits.");

    /// <summary>The server's own authority, and what it has signed for the server, each with its key.</summary>
    public static readonly string Authority = Path.Combine(Tls, "authority.pem");

    public static readonly string Certificate = Path.Combine(Tls, "server.pem");

    /// <summary>The authority's certificate without its key, to be given to others.</summary>
    public static readonly string AuthorityForOthers = Path.Combine(Tls, "authority.crt");

    static readonly string[] Own =
        [State, State + "-wal", State + "-instance", Telemetry, Instance];

    /// <summary>Whether a server has ever worked on the folder.</summary>
    public static bool IsServers(string folder) => Own.Any(name => Path.Exists(Path.Combine(folder, name)));

    public static bool IsBackup(string folder) => File.Exists(Path.Combine(folder, BackupManifest));

    /// <exception cref="StartException">It is a backup, which would be none any more.</exception>
    public static void RefuseBackup(string folder)
    {
        if (IsBackup(folder))
            throw new StartException($"{folder} is a backup, and would be spoiled. "
                + $"Restore it into a folder of its own with `whistle backup restore {folder} --data FOLDER`.");
    }

    /// <summary>Makes it where there is none; looks at nothing in it.</summary>
    /// <returns>Its path without links.</returns>
    public static string Make(string folder) => Of(folder).Make();

    /// <summary>Makes it where there is none.</summary>
    /// <returns>What stood open to other users and was closed, in a sentence, or null.</returns>
    /// <exception cref="StartException">Somebody else could have put something there.</exception>
    public static string? Prepare(string folder) => Trusted(folder, Of(folder).Prepare);

    /// <summary>Says what is wrong with the folder as the reason why nothing starts on it.</summary>
    /// <exception cref="StartException">Somebody else could have put something there, or another process works on it.</exception>
    public static T Trusted<T>(string folder, Func<T> work)
    {
        try
        {
            return work();
        }
        catch (FolderInUseException e)
        {
            throw new StartException(e.Message, e);
        }
        catch (UntrustedFolderException e)
        {
            throw new StartException($"The data folder {folder} is not this user's alone, so nothing in it is believed: {e.Message}", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new StartException(
                $"The data folder {folder} cannot be used: {e.Message} Let this user write there, or name another folder "
                + "with --data or WHISTLE_DATA.",
                e);
        }
    }

    static PrivateFolder Of(string folder) => new(
        folder, [Token, Instance, Owner, Sessions, AgentToken, Authority, Certificate], linkable: Telemetry);
}
