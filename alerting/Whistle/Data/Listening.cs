using System.Text.Json;

using Whistle.Actions.Files;

namespace Whistle.Data;

/// <summary>
/// Where the server of a data folder listens, and what proves it there. The server writes it once its addresses are bound, so that the
/// command line finds it by the folder alone; only who could write there can say something else.
/// </summary>
/// <param name="Process">That wrote it: of one that has ended, it says nothing.</param>
/// <param name="Local">Where this machine itself reaches it.</param>
/// <param name="Addresses">All of them.</param>
/// <param name="Fingerprint">Of its authority, or of its certificate where that is from elsewhere; null where no address has one.</param>
sealed record Listening(int Process, Uri Local, IReadOnlyList<Uri> Addresses, string? Fingerprint)
{
    public const string FileName = "listening.json";

    const int LargestFile = 64 << 10;

    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web)
    { RespectRequiredConstructorParameters = true, RespectNullableAnnotations = true };

    static readonly SecretForm Form =
        new("where the server listens, by starting it again,", LargestFile, text => Parse(text) is null ? "holds no addresses." : null);

    /// <summary>Null where no server runs that has written it, or this user may not look.</summary>
    /// <exception cref="SecretException">It is there, and somebody else could have written it, or it is damaged.</exception>
    public static Listening? Read(string folder)
    {
        try
        {
            var file = new SecretFile(Path.Combine(folder, FileName), Form) { Owner = PrivateFolder.OwnerForRoot(folder) };
            return Parse(file.Read()) is { } read && IsAlive(read.Process) ? read : null;
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Missing or SecretTrouble.Unreadable)
        {
            return null;
        }
    }

    /// <exception cref="IOException">It cannot be written; what was there stays.</exception>
    public static void Write(string folder, ReadOnlySpan<byte> content) => WholeFile.Replace(Path.Combine(folder, FileName), content);

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, Json);

    static Listening? Parse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<Listening>(text, Json) is
                { Local: { IsAbsoluteUri: true, Scheme: "http" or "https" } } read ? read : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    // Its port may be another user's by now, who must not be shown the token.
    static bool IsAlive(int process)
    {
        try
        {
            using var found = System.Diagnostics.Process.GetProcessById(process);
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
