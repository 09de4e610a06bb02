using System.Globalization;
using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Programs;

namespace Whistle.Actions.Disk;

/// <summary>
/// The container runtime as crictl speaks with it: the CRI's messages as JSON, in which 64-bit numbers are texts and what is empty may be
/// left out.
/// </summary>
sealed class ImageRuntime(ActionContext context, string crictl)
{
    const int MostOutput = 4 << 20;

    public async Task<(IReadOnlyList<NodeImage>? Images, string? Failure)> ImagesAsync(CancellationToken cancellation)
    {
        var (document, failure) = await AskAsync(["images", "-o", "json"], cancellation).ConfigureAwait(false);
        using (document)
            return document is null ? (null, failure) : ([.. List(document.RootElement, "images").Select(Image)], null);
    }

    /// <summary>Every reference that a container, running or not, has to its image.</summary>
    public async Task<(IReadOnlySet<string>? References, string? Failure)> UsedAsync(CancellationToken cancellation)
    {
        var (document, failure) = await AskAsync(["ps", "-a", "-o", "json"], cancellation).ConfigureAwait(false);
        using (document)
        {
            if (document is null)
                return (null, failure);
            var used = new HashSet<string>(StringComparer.Ordinal);
            foreach (var container in List(document.RootElement, "containers"))
            {
                var image =
                    container.TryGetProperty("image", out var spec) && spec.ValueKind == JsonValueKind.Object ? Text(spec, "image") : null;
                used.UnionWith(new[] { image, Text(container, "imageRef"), Text(container, "imageId") }.OfType<string>());
            }

            return (used, null);
        }
    }

    /// <summary>Null where it does not say.</summary>
    public async Task<string?> FolderAsync(CancellationToken cancellation)
    {
        var (document, _) = await AskAsync(["imagefsinfo"], cancellation).ConfigureAwait(false);
        using (document)
            return document is not null && MountPointIn(document.RootElement, 0) is { } path && Directory.Exists(path) ? path : null;
    }

    public Task<Ended> PruneAsync(CancellationToken cancellation) =>
        NodeProgram.RunAsync(context, crictl, ["rmi", "--prune"], cancellation, keepEnd: true);

    async Task<(JsonDocument? Document, string? Failure)> AskAsync(IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        var ended = await NodeProgram.RunAsync(context, crictl, arguments, cancellation, MostOutput).ConfigureAwait(false);
        if (!ended.Well)
            return (null, ended.Complaint(crictl));
        try
        {
            return (JsonDocument.Parse(ended.Output), null);
        }
        catch (JsonException)
        {
            return (null, $"{crictl} {arguments[0]} answered {(ended.Cut ? $"more than {MostOutput >> 20} MiB" : "no JSON")}.");
        }
    }

    static NodeImage Image(JsonElement image)
    {
        var id = Text(image, "id") ?? "";
        List<string> names = [.. Texts(image, "repoTags"), .. Texts(image, "repoDigests")];
        _ = long.TryParse(Text(image, "size"), NumberStyles.None, CultureInfo.InvariantCulture, out var size);
        var pinned = image.TryGetProperty("pinned", out var pin) && pin.ValueKind == JsonValueKind.True;
        return new NodeImage(id, names.FirstOrDefault() ?? id, size, pinned, [id, .. names]);
    }

    // One level deeper in newer versions, which list several file systems.
    static string? MountPointIn(JsonElement element, int depth) => element.ValueKind switch
    {
        JsonValueKind.Object when depth < 6 => Text(element, "mountpoint") ?? element.EnumerateObject()
            .Select(p => MountPointIn(p.Value, depth + 1)).FirstOrDefault(p => p is not null),
        JsonValueKind.Array when depth < 6 =>
            element.EnumerateArray().Select(e => MountPointIn(e, depth + 1)).FirstOrDefault(p => p is not null),
        _ => null,
    };

    static IEnumerable<JsonElement> List(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array
            ? list.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.Object) : [];

    static IEnumerable<string> Texts(JsonElement element, string name) =>
        element.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array
            ? list.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.String).Select(e => e.GetString()!) : [];

    static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            && value.GetString() is { Length: > 0 } text ? text : null;
}
