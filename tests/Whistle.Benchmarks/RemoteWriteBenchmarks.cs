using System.Buffers;

using BenchmarkDotNet.Attributes;

using Whistle.Benchmarks.Ingest;
using Whistle.Telemetry;

namespace Whistle.Benchmarks;

/// <summary>One request of 2,000 series with a sample each, as a Prometheus shard sends them; times are per sample.</summary>
[MemoryDiagnoser]
public class RemoteWriteBenchmarks
{
    const int Samples = 2000;

    readonly WriteRequestScratch _scratch = new();
    readonly ArrayBufferWriter<byte> _output = new(1 << 20);
    TimeSeries[] _series = [];
    byte[] _v1 = [];
    byte[] _v2 = [];
    byte[] _compressed = [];

    [GlobalSetup]
    public void Encode()
    {
        _series = [.. NodeProfile.Series(node: 0).Concat(NodeProfile.Series(node: 1))
            .Select(s => new TimeSeries(s.Labels, [new Sample(1_700_000_000_000, s.Level)]))];
        RemoteWriteEncoder.EncodeV1(_series, _output);
        _v1 = _output.WrittenSpan.ToArray();
        _output.ResetWrittenCount();
        RemoteWriteEncoder.EncodeV2(_series, _output);
        _v2 = _output.WrittenSpan.ToArray();
        using var compressed = RemoteWriteBody.Compress(_v1);
        _compressed = compressed.Span.ToArray();
    }

    [Benchmark(OperationsPerInvoke = Samples)]
    public double ReadV1() => Read(_v1, RemoteWriteVersion.V1);

    [Benchmark(OperationsPerInvoke = Samples)]
    public double ReadV2() => Read(_v2, RemoteWriteVersion.V2);

    [Benchmark(OperationsPerInvoke = Samples)]
    public int Decompress()
    {
        using var body = RemoteWriteBody.Decompress(_compressed, int.MaxValue);
        return body.Length;
    }

    [Benchmark(OperationsPerInvoke = Samples)]
    public int DecodeLabels()
    {
        var reader = new WriteRequestReader(_v1, RemoteWriteVersion.V1, _scratch);
        var labels = 0;
        while (reader.ReadSeries())
            labels += LabelsCodec.Decode(reader.Key, LabelLimits.Default).Count;
        return labels;
    }

    [Benchmark(OperationsPerInvoke = Samples)]
    public int WriteV1()
    {
        _output.ResetWrittenCount();
        RemoteWriteEncoder.EncodeV1(_series, _output);
        return _output.WrittenCount;
    }

    [Benchmark(OperationsPerInvoke = Samples)]
    public int WriteV2()
    {
        _output.ResetWrittenCount();
        RemoteWriteEncoder.EncodeV2(_series, _output);
        return _output.WrittenCount;
    }

    double Read(byte[] body, RemoteWriteVersion version)
    {
        var reader = new WriteRequestReader(body, version, _scratch);
        var sum = 0d;
        while (reader.ReadSeries())
        {
            sum += reader.Key.Length;
            while (reader.ReadSample(out var sample))
                sum += sample.Value;
        }

        return sum;
    }
}
