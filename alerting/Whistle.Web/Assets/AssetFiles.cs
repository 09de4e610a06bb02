using System.IO.Compression;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;

using Microsoft.AspNetCore.Http;

namespace Whistle.Web.Assets;

/// <summary>What a browser loads besides the pages: all of it is in the assembly, kept compressed, and named by its content.</summary>
static class AssetFiles
{
    static readonly Dictionary<string, Asset> All = new[]
    {
        Load("whistle.css", "text/css; charset=utf-8"), Load("mud.css", "text/css; charset=utf-8"), Load(
            "theme.js", "text/javascript; charset=utf-8"),
        Load("whistle.js", "text/javascript; charset=utf-8"), Load("mud.js", "text/javascript; charset=utf-8"),
        Load("passkey.js", "text/javascript; charset=utf-8"),
        Load("blazor.web.js", "text/javascript; charset=utf-8"), Load("whistle.svg", "image/svg+xml"),
    }.ToDictionary(a => a.Name);

    /// <summary>It changes with the file, so that it may be kept forever.</summary>
    public static string Address(string name) => $"/assets/{All[name].Version}/{name}";

    public static IResult Serve(string version, string name, HttpContext context)
    {
        if (!All.TryGetValue(name, out var asset))
            return Results.NotFound();
        var headers = context.Response.Headers;
        // A page of the release before may ask for its own version; what it gets then must not be kept under that name.
        headers.CacheControl = version == asset.Version ? "public, max-age=31536000, immutable" : "no-store";
        headers.XContentTypeOptions = "nosniff";
        headers.ETag = $"\"{asset.Version}\"";
        headers.Vary = "Accept-Encoding";
        if (context.Request.Headers.IfNoneMatch == headers.ETag)
            return Results.StatusCode(StatusCodes.Status304NotModified);
        if (!context.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.Ordinal))
            return Results.Bytes(asset.Content, asset.Type);
        headers.ContentEncoding = "gzip";
        return Results.Bytes(asset.Compressed.Value, asset.Type);
    }

    static Asset Load(string name, string type)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The resource {name} is not in the assembly.");
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        // In a layer of its own, so that the library's rules are the weaker ones whatever their selectors.
        if (name == "mud.css")
            content = [.. "@layer mud {\n"u8, .. WithoutMark(content), .. "\n}\n"u8];
        return new Asset(name, type, Convert.ToHexStringLower(SHA256.HashData(content))[..12], content, new(() => Compress(content)));
    }

    static ReadOnlySpan<byte> WithoutMark(byte[] content) =>
        content.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? content.AsSpan(Encoding.UTF8.Preamble.Length) : content;

    static byte[] Compress(byte[] content)
    {
        using var buffer = new MemoryStream();
        using (var gzip = new GZipStream(buffer, CompressionLevel.Optimal))
            gzip.Write(content);
        return buffer.ToArray();
    }

    sealed record Asset(string Name, string Type, string Version, byte[] Content, Lazy<byte[]> Compressed);
}
