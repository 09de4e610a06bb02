using System.Buffers;
using System.Net.Http.Headers;

using Whistle.Telemetry;

namespace Whistle.AcceptanceTests;

/// <summary>Sends remote-write as a Prometheus would, or deliberately worse.</summary>
sealed class RemoteWriteClient(Uri server, string token) : IDisposable
{
    readonly HttpClient _http = new() { BaseAddress = server };

    public void Dispose() => _http.Dispose();

    public Task<HttpResponseMessage> SendAsync(
        IReadOnlyList<TimeSeries> series, CancellationToken cancellation, RemoteWriteVersion version = RemoteWriteVersion.V1) =>
        SendAsync(
            Body(series, version), cancellation,
            version == RemoteWriteVersion.V1 ? RemoteWriteBody.ContentTypeV1 : RemoteWriteBody.ContentTypeV2);

    public async Task<HttpResponseMessage> SendAsync(
        byte[] compressed, CancellationToken cancellation, string contentType = RemoteWriteBody.ContentTypeV1)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "api/v1/write") { Content = new ByteArrayContent(compressed) };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        request.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        request.Content.Headers.TryAddWithoutValidation("Content-Encoding", "snappy");
        return await _http.SendAsync(request, cancellation);
    }

    public static byte[] Body(IReadOnlyList<TimeSeries> series, RemoteWriteVersion version = RemoteWriteVersion.V1)
    {
        var buffer = new ArrayBufferWriter<byte>();
        if (version == RemoteWriteVersion.V1)
            RemoteWriteEncoder.EncodeV1(series, buffer);
        else
            RemoteWriteEncoder.EncodeV2(series, buffer);
        using var body = RemoteWriteBody.Compress(buffer.WrittenSpan);
        return body.Span.ToArray();
    }
}
