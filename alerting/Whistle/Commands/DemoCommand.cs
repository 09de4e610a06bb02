using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

using Whistle.Demo;

namespace Whistle.Commands;

/// <summary>A fleet that is not there, to see the product at work.</summary>
static class DemoCommand
{
    static readonly DemoOptions Defaults = new();

    static readonly Option<int> Nodes = new("--nodes")
    {
        Description = $"Nodes of the fleet, {DemoOptions.FewestNodes} to {DemoOptions.MostNodes}. "
            + "Those without a part in the script have a history of one point in five minutes; above 200, of their file systems only.",
        DefaultValueFactory = _ => Defaults.Nodes,
        CustomParser = Number,
    };

    static readonly Option<int> Seed = new("--seed")
    {
        Description = "The same seed makes the same fleet.",
        DefaultValueFactory = _ => Defaults.Seed,
        CustomParser = Number,
    };
    static readonly Option<bool> Fast =
        new("--fast") { Description = "Show it all in twenty seconds instead of two minutes, or as fast as this machine can." };
    static readonly Option<Uri?> Listen = new("--listen")
    {
        Description = "Address to listen on. Without it, the usual one where it is free, else another.",
        CustomParser = Loopback,
    };
    static readonly Option<string?> Data = new Option<string?>("--data")
    {
        Description = "A new folder that is kept. Without it, a temporary one that goes at the end.",
    }.NotEmpty();

    public static Command Build()
    {
        var command = new Command("demo", "Runs a server with a simulated fleet: disks that fill and are cleaned, "
            + "a node that falls silent, a plan that waits for you. Nothing on this machine is touched.")
            { Nodes, Seed, Fast, Listen, Data };
        command.SetAction((arguments, cancellation) => RunAsync(
            new DemoOptions
            {
                Nodes = arguments.GetValue(Nodes),
                Seed = arguments.GetValue(Seed),
                Fast = arguments.GetValue(Fast),
                Listen = arguments.GetValue(Listen),
                DataFolder = arguments.GetValue(Data) is { } folder ? Path.GetFullPath(folder) : null,
            },
            cancellation));
        return command;
    }

    static int Number(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
            return number;
        result.AddError($"\"{text}\" is not a whole number.");
        return 0;
    }

    static Uri? Loopback(ArgumentResult result)
    {
        var text = result.Tokens[0].Value;
        if (Uri.TryCreate(text, UriKind.Absolute, out var address) && address is { Scheme: "http", IsLoopback: true })
            return address;
        result.AddError($"\"{text}\" is not an http address of this machine's loopback. Write it like http://127.0.0.1:9480.");
        return null;
    }

    static async Task<int> RunAsync(DemoOptions options, CancellationToken cancellation)
    {
        if (options.Errors() is { Count: > 0 } errors)
        {
            foreach (var error in errors)
                await Console.Error.WriteLineAsync(error);
            return 2;
        }

        var folder = options.DataFolder ?? Directory.CreateTempSubdirectory("whistle-demo-").FullName;
        try
        {
            await RunAsync(options, folder, cancellation);
            return 0;
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            return 0;
        }
        catch (StartException e)
        {
            await Console.Error.WriteLineAsync(e.Message);
            return 1;
        }
        finally
        {
            if (options.DataFolder is null)
                Directory.Delete(folder, recursive: true);
        }
    }

    static async Task RunAsync(DemoOptions options, string folder, CancellationToken cancellation)
    {
        var real = TimeProvider.System;
        var begun = Stopwatch.GetTimestamp();
        var live = DemoPace.Start(real.GetUtcNow(), DemoOptions.Show, options.Factor);
        await using var run = await DemoRun.StartAsync(options, options.Listen ?? FreeAddress(), folder, live, cancellation);
        Console.WriteLine($"Whistle sets up {options.Nodes} nodes in {DemoScript.Clusters.Count} clusters (seed {options.Seed}) "
            + "and fills in six and a half hours of their history...");
        await ProgressBars.RunAsync(progress => run.FillAsync((done, total) => progress("Filling in history", done, total), cancellation));
        Console.WriteLine(DemoGuide.Text(options, run, folder, Stopwatch.GetElapsedTime(begun)));
        var teller = new DemoNarrator(run, DemoGuide.VerbOptions(run, folder), Console.WriteLine);
        var pace = new DemoPace(real, options.Factor);
        while (true)
        {
            while (pace.TryTake(DemoRun.Step, run.Now))
            {
                await StepAsync(run, cancellation);
                await teller.LookAsync(cancellation);
            }

            await Task.Delay(pace.Wait(DemoRun.Step, run.Now), real, cancellation);
        }
    }

    // As in the stages' own loops: what goes wrong in one pass may go right in the next.
    static async Task StepAsync(DemoRun run, CancellationToken cancellation)
    {
        try
        {
            await run.StepAsync(DemoRun.Step, cancellation);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            await Console.Error.WriteLineAsync($"A pass failed: {e.Message}");
        }
    }

    static Uri FreeAddress()
    {
        var usual = WhistleOptions.UsualAddress;
        using var probe = new TcpListener(IPAddress.Loopback, usual.Port);
        try
        {
            probe.Start();
            return usual;
        }
        catch (SocketException)
        {
            return new Uri("http://127.0.0.1:0");
        }
    }
}
