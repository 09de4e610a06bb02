using System.Buffers.Binary;
using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Whistle.AcceptanceTests;

/// <summary>A device with one passkey, as much of WebAuthn as it takes: ES256, no attestation, and a count that a test chooses.</summary>
sealed class Device(string origin) : IDisposable
{
    static readonly string[] Transports = ["internal"];

    readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    readonly byte[] _id = RandomNumberGenerator.GetBytes(16);
    string _user = "";

    /// <summary>0 where it does not count, as for keys that are kept in step on several devices.</summary>
    public uint Count { get; set; }

    /// <summary>Whether whoever holds it showed a finger, a face or a PIN.</summary>
    public bool IsVerified { get; set; } = true;

    /// <summary>What the form of a page asks of a device.</summary>
    /// <param name="more">Which form: a part of its tag.</param>
    public static JsonElement Asked(string page, string more = "") => JsonDocument.Parse(WebUtility.HtmlDecode(
        Regex.Match(page, $"data-passkey=\"([^\"]*)\"{more}").Groups[1].Value)).RootElement;

    public string Make(JsonElement asked)
    {
        _user = asked.GetProperty("user").GetProperty("id").GetString()!;
        var point = _key.ExportParameters(false).Q;
        // A COSE key: kty EC2, alg ES256, crv P-256, x, y.
        byte[] cose = [0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32, .. point.X!, 0x22, 0x58, 32, .. point.Y!];
        byte[] data = [.. Data(asked.GetProperty("rp").GetProperty("id").GetString()!, 0x40), .. new byte[16], 0, 16, .. _id, .. cose];
        byte[] attestation =
        [
            0xa3, 0x63, .. "fmt"u8, 0x64, .. "none"u8, 0x67, .. "attStmt"u8, 0xa0, 0x68, .. "authData"u8, 0x58, (byte)data.Length, .. data,
        ];
        return Credential(new
        {
            clientDataJSON = Text(Client("webauthn.create", asked)),
            attestationObject = Text(attestation),
            transports = Transports,
        });
    }

    public string Prove(JsonElement asked)
    {
        var (client, data) = (Client("webauthn.get", asked), Data(asked.GetProperty("rpId").GetString()!, 0));
        return Credential(new
        {
            clientDataJSON = Text(client),
            authenticatorData = Text(data),
            signature = Text(_key.SignData(
                [.. data, .. SHA256.HashData(client)], HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)),
            userHandle = _user,
        });
    }

    public void Dispose() => _key.Dispose();

    byte[] Data(string server, byte flags)
    {
        var count = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(count, Count);
        return [.. SHA256.HashData(Encoding.UTF8.GetBytes(server)), (byte)(flags | 1 | (IsVerified ? 4 : 0)), .. count];
    }

    byte[] Client(string type, JsonElement asked) => JsonSerializer.SerializeToUtf8Bytes(
        new { type, challenge = asked.GetProperty("challenge").GetString(), origin, crossOrigin = false });

    string Credential(object response) => JsonSerializer.Serialize(new
    {
        id = Text(_id),
        rawId = Text(_id),
        type = "public-key",
        authenticatorAttachment = "platform",
        clientExtensionResults = new { },
        response,
    });

    static string Text(byte[] bytes) => Base64Url.EncodeToString(bytes);
}
