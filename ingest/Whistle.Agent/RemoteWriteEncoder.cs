using System.Buffers;
using System.Text;
namespace Whistle.Telemetry;
static class RemoteWriteEncoder
{
    public static void EncodeV2(IReadOnlyList<TimeSeries> series, IBufferWriter<byte> output) =>
        output.Write(Encoding.UTF8.GetBytes(string.Join("\n", series.Select(s => $"{s.Labels} {s.Samples[0].Value:R}"))));
}
