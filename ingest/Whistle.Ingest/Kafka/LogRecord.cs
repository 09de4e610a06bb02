using System.Globalization;
using System.Text;

using Confluent.Kafka;

using Whistle.Inventory;
using Whistle.Telemetry;

namespace Whistle.Ingest.Kafka;

/// <summary>
/// What the headers of a record say of the body in it. The format's version is the first to be read: a reader refuses a newer one, and a
/// release writes only what the one before it reads.
/// </summary>
sealed record LogRecord(SenderName Sender, RemoteWriteVersion Version, DateTimeOffset ReceivedAt)
{
    const string Format = "1";

    const string FormatHeader = "whistle-format";
    const string TenantHeader = "whistle-tenant";
    const string ClusterHeader = "whistle-cluster";
    const string NodeHeader = "whistle-node";
    const string VersionHeader = "whistle-remote-write";
    const string ReceivedHeader = "whistle-received-at";

    static readonly UTF8Encoding Utf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>By which Kafka finds the partition: all of a cluster lies in one.</summary>
    public static byte[] KeyOf(ClusterId cluster) => Encoding.UTF8.GetBytes($"{cluster.Tenant}\n{cluster.Cluster}");

    public Headers ToHeaders()
    {
        var headers = new Headers
        {
            { FormatHeader, Utf8.GetBytes(Format) },
            { TenantHeader, Utf8.GetBytes(Sender.ClusterId.Tenant) },
            { ClusterHeader, Utf8.GetBytes(Sender.ClusterId.Cluster) },
            { VersionHeader, Utf8.GetBytes(Version == RemoteWriteVersion.V2 ? "2" : "1") },
            { ReceivedHeader, Utf8.GetBytes(ReceivedAt.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture)) },
        };
        if (Sender.Node is { } node)
            headers.Add(NodeHeader, Utf8.GetBytes(node));
        return headers;
    }

    /// <exception cref="FormatException">They say nothing that can be used; the message says what is wrong.</exception>
    public static LogRecord Of(Headers? headers)
    {
        if (Text(headers, FormatHeader) is not { } format)
            throw new FormatException($"the record has no header {FormatHeader}; something else than Whistle wrote it");
        if (format != Format)
            throw new FormatException($"the record is of format {format}, and this program reads {Format}; run the newer program");
        var cluster = new ClusterId(Needed(headers, TenantHeader), Needed(headers, ClusterHeader));
        var version = Needed(headers, VersionHeader) switch
        {
            "1" => RemoteWriteVersion.V1,
            "2" => RemoteWriteVersion.V2,
            var other => throw new FormatException($"its header {VersionHeader} is \"{other}\", which is neither 1 nor 2"),
        };
        if (!long.TryParse(Needed(headers, ReceivedHeader), NumberStyles.None, CultureInfo.InvariantCulture, out var milliseconds)
            || milliseconds > DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
            throw new FormatException($"its header {ReceivedHeader} is not a time in milliseconds");
        return new(new(cluster, Text(headers, NodeHeader)), version, DateTimeOffset.FromUnixTimeMilliseconds(milliseconds));
    }

    static string Needed(Headers? headers, string name) => Text(headers, name) is { Length: > 0 } text
        ? text : throw new FormatException($"the record has no header {name}");

    static string? Text(Headers? headers, string name)
    {
        if (headers is null || !headers.TryGetLastBytes(name, out var bytes))
            return null;
        try
        {
            return Utf8.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw new FormatException($"its header {name} is not UTF-8", e);
        }
    }
}

/// <summary>Who sent: a node of the cluster, or its collector.</summary>
readonly record struct SenderName(ClusterId ClusterId, string? Node);
