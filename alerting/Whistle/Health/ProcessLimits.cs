using Whistle.State.Health;

namespace Whistle.Health;

/// <summary>What the process needs of the machine. Too little is said before anything begins, not by a crash later.</summary>
static class ProcessLimits
{
    // Files of the runtime, the state and the store, with sealed hours that queries read, measured: about 340 at rest; and connections that
    // are refused, each of which is open for a moment: of two thousand at once, over a hundred.
    const long OwnHandles = 640;
    const long LeastHandles = 1024;

    // The heap of an idle server is about 40 MiB; the head, what waits and the answers come on top.
    const long LeastMemory = 160L << 20;

    // The runtime takes half of it for the heap, and the rest goes to stacks, libraries and the store. Measured: a start fails with 4 GiB,
    // and succeeds with 7.6 GiB.
    const long LeastAddressSpace = 8L << 30;

    // The state and its reserve are some tens of MiB, an hour of a thousand nodes in the hot store some hundreds.
    const long LeastFileSize = 1L << 30;

    const int LeastWorkers = 16;

    /// <summary>Connections that leave handles for all else.</summary>
    public static long MostConnections => Math.Max(64, (ProcessWatch.HandleLimit() - OwnHandles) / 4 * 3);

    /// <exception cref="StartException">A limit is too low.</exception>
    public static void Check()
    {
        var (handles, memory) = (ProcessWatch.HandleLimit(), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        if (handles < LeastHandles)
            throw new StartException($"This process may have {handles} files and connections open, and needs at least {LeastHandles}. "
                + "Raise the limit: LimitNOFILE=4096 in the service's unit, or `ulimit -n 4096` before the start.");
        if (ProcessWatch.AddressSpaceLimit() is var space && space < LeastAddressSpace)
            throw new StartException($"This process may have {space >> 20} MiB of address space, and needs at least "
                + $"{LeastAddressSpace >> 20} MiB. Raise the limit (`ulimit -v`, LimitAS=) or remove it, "
                + "and bound the memory with MemoryMax= of the service's unit or DOTNET_GCHeapHardLimit.");
        if (ProcessWatch.FileSizeLimit() is var size && size < LeastFileSize)
            throw new StartException($"This process may write files of {size >> 20} MiB, and needs at least {LeastFileSize >> 20} MiB. "
                + "Raise the limit (`ulimit -f`, LimitFSIZE=) or remove it.");
        if (memory < LeastMemory)
            throw new StartException($"This process may use {memory >> 20} MiB of memory for its heap, and needs at least "
                + $"{LeastMemory >> 20} MiB. Raise the limit: MemoryMax= of the service's unit or the container's memory (of which .NET "
                + "takes three quarters), or DOTNET_GCHeapHardLimit.");
    }

    /// <summary>
    /// Lets the pool have more workers at once than there are processors. Decoding a request or committing a group keeps a worker busy for
    /// many milliseconds; with two, the usual on two processors, a query would wait for the end of both before it begins.
    /// </summary>
    public static void ProvideWorkers()
    {
        ThreadPool.GetMinThreads(out var workers, out var ports);
        ThreadPool.SetMinThreads(Math.Max(workers, LeastWorkers), ports);
    }
}
