using System.Buffers.Binary;
using System.IO.Hashing;
using System.Numerics;
using System.Security.Cryptography;

namespace Whistle.Ingest.Heads;

/// <summary>
/// About how many different series there were, in 16 KiB however many: exact for a few hundred, off by 0.8 % (one standard deviation)
/// beyond. HyperLogLog with the estimator of O. Ertl, "New cardinality estimation algorithms for HyperLogLog sketches" (2017, algorithm 6).
/// Thread-safe.
/// </summary>
sealed class SeriesSketch
{
    const int IndexBits = 14;
    const int Registers = 1 << IndexBits;

    // Values of a register: 0 where nothing came, else how many bits after the index begin with zeros, and one more.
    const int Highest = 64 - IndexBits + 1;

    // Until there are as many, the hashes themselves take less room than the registers.
    const int MostExact = 512;

    // Random, so that nobody can choose labels that all fall into one register and are not counted.
    static readonly long Seed = BitConverter.ToInt64(RandomNumberGenerator.GetBytes(8));

    readonly Lock _lock = new();
    HashSet<ulong>? _exact = [];
    byte[]? _registers;
    int[]? _withValue;

    public long Count
    {
        get
        {
            lock (_lock)
                return _exact is not null ? _exact.Count : Estimate(_withValue!);
        }
    }

    /// <param name="key">A hash of the series, the same each time.</param>
    public void Add(ulong key)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, key);
        var hash = XxHash3.HashToUInt64(bytes, Seed);
        lock (_lock)
        {
            if (_exact is null)
                AddToRegister(hash);
            else if (_exact.Add(hash) && _exact.Count > MostExact)
                MakeRegisters();
        }
    }

    void MakeRegisters()
    {
        (_registers, _withValue) = (new byte[Registers], new int[Highest + 1]);
        _withValue[0] = Registers;
        foreach (var hash in _exact!)
            AddToRegister(hash);
        _exact = null;
    }

    void AddToRegister(ulong hash)
    {
        ref var register = ref _registers![(int)(hash >> (64 - IndexBits))];
        var value = (byte)Math.Min(BitOperations.LeadingZeroCount(hash << IndexBits) + 1, Highest);
        if (value <= register)
            return;
        _withValue![register]--;
        _withValue[value]++;
        register = value;
    }

    static long Estimate(int[] withValue)
    {
        var z = Registers * Tau(1 - ((double)withValue[Highest] / Registers));
        for (var value = Highest - 1; value >= 1; value--)
            z = 0.5 * (z + withValue[value]);
        z += Registers * Sigma((double)withValue[0] / Registers);
        return (long)Math.Round(Registers / (2 * Math.Log(2)) * Registers / z);
    }

    // What registers that are still empty tell.
    static double Sigma(double empty)
    {
        if (empty == 1)
            return double.PositiveInfinity;
        var (sum, power, before) = (empty, 1.0, -1.0);
        while (sum != before)
        {
            empty *= empty;
            before = sum;
            sum += empty * power;
            power += power;
        }

        return sum;
    }

    // What registers that can count no further tell.
    static double Tau(double notFull)
    {
        if (notFull is 0 or 1)
            return 0;
        var (sum, power, before) = (1 - notFull, 1.0, -1.0);
        while (sum != before)
        {
            notFull = Math.Sqrt(notFull);
            before = sum;
            power *= 0.5;
            sum -= (1 - notFull) * (1 - notFull) * power;
        }

        return sum / 3;
    }
}
