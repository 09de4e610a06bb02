using BenchmarkDotNet.Running;

using Whistle.Benchmarks;
using Whistle.Benchmarks.Ingest;

if (args is ["ingest", ..])
    return await IngestComparison.RunAsync(args[1..]);
BenchmarkSwitcher.FromAssembly(typeof(RemoteWriteBenchmarks).Assembly).Run(args);
return 0;
