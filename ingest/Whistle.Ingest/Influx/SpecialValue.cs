using Whistle.Telemetry;

namespace Whistle.Ingest.Influx;

/// <summary>Values that InfluxDB refuses, as the integers that stand for them. No bit is lost.</summary>
static class SpecialValue
{
    // What exporters send.
    const ulong UsualNaN = 0x7ff8000000000001;

    public static long Of(double value) => BitConverter.DoubleToUInt64Bits(value) switch
    {
        UsualNaN => 0,
        StaleMarker.Bits => 1,
        0x7ff0000000000000 => 2,
        0xfff0000000000000 => 3,
        // Another NaN: its own bits, which are none of the above.
        var bits => (long)bits,
    };

    public static double Read(long special) => BitConverter.UInt64BitsToDouble(special switch
    {
        0 => UsualNaN,
        1 => StaleMarker.Bits,
        2 => 0x7ff0000000000000,
        3 => 0xfff0000000000000,
        _ => (ulong)special,
    });
}
