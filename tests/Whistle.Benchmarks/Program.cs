using BenchmarkDotNet.Running;

using Whistle.Benchmarks;
using Whistle.Benchmarks.Churn;
using Whistle.Benchmarks.Doors;
using Whistle.Benchmarks.Fuzz;
using Whistle.Benchmarks.Ingest;
using Whistle.Benchmarks.Latency;
using Whistle.Benchmarks.Remediation;
using Whistle.Benchmarks.Rules;
using Whistle.Benchmarks.State;

if (args is ["ingest", ..])
    return await IngestComparison.RunAsync(args[1..]);
if (args is ["influx", ..])
    return await InfluxWrites.RunAsync(args[1..]);
if (args is ["rules", "--profile", ..])
    return await RuleCosts.RunAsync(args[2..]);
if (args is ["rules", ..])
    return await RulesComparison.RunAsync(args[1..]);
if (args is ["churn", ..])
    return await ChurnRun.RunAsync(args[1..]);
if (args is ["doors", ..])
    return await DoorsRun.RunAsync(args[1..]);
if (args is ["fuzz", ..])
    return await FuzzRun.RunAsync(args[1..]);
if (args is ["latency", ..])
    return await LatencyComparison.RunAsync(args[1..]);
if (args is ["state", ..])
    return await SharedState.RunAsync(args[1..]);
if (args is ["remediation"])
    return await EngineLoad.RunAsync();
BenchmarkSwitcher.FromAssembly(typeof(RemoteWriteBenchmarks).Assembly).Run(args);
return 0;
