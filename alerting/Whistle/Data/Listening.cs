using System.ComponentModel;
using System.Globalization;
using System.Text.Json;

using Whistle.Actions.Files;

namespace Whistle.Data;

/// <summary>
/// Where the server of a data folder listens, and what proves it there. The server writes it once its addresses are bound, so that the
/// command line finds it by the folder alone; only who could write there can say something else.
/// </summary>
/// <param name="Process">That wrote it.</param>
/// <param name="Started">When that began: of one that has ended it says nothing, whoever has its number now.</param>
/// <param name="Local">Where this machine itself reaches it.</param>
/// <param name="Addresses">All of them.</param>
/// <param name="Fingerprint">Of its authority, or of its certificate where that is from elsewhere; null where no address has one.</param>
sealed record Listening(int Process, string Started, Uri Local, IReadOnlyList<Uri> Addresses, string? Fingerprint)
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
            return Parse(file.Read()) is { } read && StartOf(read.Process) == read.Started ? read : null;
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

    /// <summary>
    /// When the process began, in words of this system; null where there is none. Its port may be another user's by now, who must not be
    /// shown the token.
    /// </summary>
    public static string? StartOf(int process)
    {
        try
        {
            if (!OperatingSystem.IsLinux())
            {
                using var found = System.Diagnostics.Process.GetProcessById(process);
                return found.StartTime.ToUniversalTime().Ticks.ToString(CultureInfo.InvariantCulture);
            }

            // Its 22nd field, of which those after the name in brackets begin with the third, is in ticks since the machine's start; see
            // proc_pid_stat(5).
            var stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            return $"{stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[19]} {File.ReadAllText("/proc/sys/kernel/random/boot_id").Trim()}";
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or NotSupportedException or Win32Exception
            or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
