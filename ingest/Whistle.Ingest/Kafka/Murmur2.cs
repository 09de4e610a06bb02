using System.Buffers.Binary;

namespace Whistle.Ingest.Kafka;

/// <summary>
/// Which partition Kafka's standard partitioner gives a key: murmur2 over the key's bytes, its sign dropped, by the number of partitions.
/// </summary>
static class Murmur2
{
    const uint Multiplier = 0x5bd1e995;
    const uint Seed = 0x9747b28c;

    public static int PartitionOf(ReadOnlySpan<byte> key, int partitions) => (int)((Hash(key) & 0x7fffffff) % (uint)partitions);

    static uint Hash(ReadOnlySpan<byte> data)
    {
        var hash = Seed ^ (uint)data.Length;
        for (; data.Length >= 4; data = data[4..])
        {
            var word = BinaryPrimitives.ReadUInt32LittleEndian(data) * Multiplier;
            hash = hash * Multiplier ^ (word ^ word >> 24) * Multiplier;
        }

        if (data.Length > 0)
        {
            for (var i = data.Length - 1; i >= 0; i--)
                hash ^= (uint)data[i] << 8 * i;
            hash *= Multiplier;
        }

        hash = (hash ^ hash >> 13) * Multiplier;
        return hash ^ hash >> 15;
    }
}
