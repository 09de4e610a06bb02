using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Files;

namespace Whistle.Agent.Settings;

/// <summary>Which server a node was enrolled at, and what proves it: written by <c>whistle-agent enroll</c>, read by <c>run</c>.</summary>
/// <param name="Node">The node's name there.</param>
/// <param name="Fingerprint">Null where the machine's authorities or a file count.</param>
sealed record Enrolment(Uri Server, string Node, string? Fingerprint, string? AuthorityFile)
{
    const string FileName = "enrolment.json";
    const int LargestFile = 16 << 10;

    static readonly SecretForm Form = new("the node's enrolment", LargestFile, text => Parse(text) is null ? "holds no enrolment." : null);

    /// <summary>Null where the node was not enrolled by itself.</summary>
    /// <exception cref="SecretException">It is there and cannot be taken.</exception>
    public static Enrolment? Read(string folder)
    {
        try
        {
            return Parse(new SecretFile(Path.Combine(folder, FileName), Form).Read());
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Missing)
        {
            return null;
        }
    }

    /// <summary>Where the credential lies.</summary>
    public static string TokenFile(string folder) => Path.Combine(folder, "token");

    public void Write(string folder) => WholeFile.Replace(
        Path.Combine(folder, FileName), JsonSerializer.SerializeToUtf8Bytes(this, EnrolmentJson.Default.Enrolment));

    static Enrolment? Parse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize(text, EnrolmentJson.Default.Enrolment) is { Server.IsAbsoluteUri: true } read ? read : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, WriteIndented = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(Enrolment))]
sealed partial class EnrolmentJson : JsonSerializerContext;
