using System.Diagnostics;
using System.Globalization;

namespace Whistle.Benchmarks.Doors;

/// <summary>
/// What people and healthy agents wait while somebody guesses passwords, holds handshakes open, or reports with a revoked credential,
/// against what they wait just before.
/// </summary>
/// <remarks>Whoever attacks is a process that has only the time that others leave, for it would be on another machine.</remarks>
static class DoorsRun
{
    const int Guesses = 10_000;
    const int GuessesAtOnce = 64;
    const int HalfOpen = 5_000;
    const int Revoked = 1_000;

    static readonly TimeSpan Quiet = TimeSpan.FromSeconds(30);
    static readonly TimeSpan Attacked = TimeSpan.FromSeconds(40);

    public static async Task<int> RunAsync(IReadOnlyList<string> args)
    {
        if (args is ["--attack", var kind, var address])
        {
            Console.WriteLine(await AttackAsync(kind, new(new(address))));
            return 0;
        }

        if (args.Count == 0)
        {
            await Console.Error.WriteLineAsync("Name the program: doors PATH_OF_WHISTLE [ATTACK...]. It should be a release build.");
            return 2;
        }

        await using var server = await DoorServer.StartAsync(args[0]);
        using var callers = await Callers.OfAsync(server);
        var revoked = await RevokedAsync(server);
        // Compiled before it counts.
        await QuietAsync(server, callers);
        foreach (var (attack, what, tokens) in new (string, string, IReadOnlyList<string>)[]
        {
            ("guess", $"{Guesses} wrong passwords, {GuessesAtOnce} at once", []),
            ("hold", $"{HalfOpen} half-open connections that sent a part of a record", []),
            ("hello", $"{HalfOpen} half-open connections that sent all that is said before the server answers", []),
            ("retry", $"{Revoked} revoked agents, once a second each", revoked),
        })
        {
            if (args.Count == 1 || args.Skip(1).Contains(attack))
                await PhaseAsync(server, callers, attack, what, tokens);
        }

        Console.WriteLine("after");
        await QuietAsync(server, callers);
        return 0;
    }

    static async Task<string> AttackAsync(string kind, Target target)
    {
        using var over = new CancellationTokenSource(Attacked);
        List<string> tokens = [];
        while (kind == "retry" && await Console.In.ReadLineAsync() is { Length: > 0 } token)
            tokens.Add(token);
        return kind switch
        {
            "guess" => await Attacks.GuessAsync(target, Guesses, GuessesAtOnce),
            "hold" => await Attacks.HoldAsync(target, HalfOpen, Attacks.PartOfRecord(), over.Token),
            "hello" => await Attacks.HoldAsync(target, HalfOpen, await Attacks.HelloAsync(), over.Token),
            "retry" => await Attacks.RetryAsync(target, tokens, over.Token),
            _ => throw new ArgumentException($"{kind} is no attack."),
        };
    }

    static async Task PhaseAsync(DoorServer server, Callers callers, string attack, string what, IReadOnlyList<string> tokens)
    {
        Console.WriteLine($"before {what}");
        var before = await QuietAsync(server, callers);
        server.ForgetPeak();
        var (cpu, begun) = (server.Cpu(), Stopwatch.StartNew());
        using var attacker = Process.Start(new ProcessStartInfo(
            "chrt", ["--idle", "0", Environment.ProcessPath!, "doors", "--attack", attack, server.Target.Address.ToString()])
        { RedirectStandardOutput = true, RedirectStandardInput = true })!;
        foreach (var token in tokens)
            await attacker.StandardInput.WriteLineAsync(token);
        attacker.StandardInput.Close();
        using var over = new CancellationTokenSource();
        var calling = callers.CallAsync(over.Token);
        var said = (await attacker.StandardOutput.ReadToEndAsync()).Trim();
        await attacker.WaitForExitAsync();
        await over.CancelAsync();
        var during = await calling;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{what}: {said}, in {begun.Elapsed.TotalSeconds:0} s; the server took {(server.Cpu() - cpu) / begun.Elapsed:0.00} processors "
            + $"and at most {server.PeakBytes() >> 20} MiB"));
        Write("people", during.People, before.People);
        Write("agents", during.Agents, before.Agents);
        Tell(during.Failures);
    }

    static async Task<Waits> QuietAsync(DoorServer server, Callers callers)
    {
        using var over = new CancellationTokenSource(Quiet);
        var waits = await callers.CallAsync(over.Token);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"quiet: {server.ResidentBytes() >> 20} MiB"));
        Write("people", waits.People, null);
        Write("agents", waits.Agents, null);
        Tell(waits.Failures);
        return waits;
    }

    static void Write(string who, double[] waits, double[]? usual)
    {
        Console.WriteLine($"  {who} ({waits.Length}): median {At(0.5)}, 95 of 100 within {At(0.95)}, 99 within {At(0.99)}");

        string At(double share)
        {
            var wait = Waits.At(waits, share);
            var times = usual is null ? "" : string.Create(CultureInfo.InvariantCulture, $" ({wait / Waits.At(usual, share):0.00} times)");
            return string.Create(CultureInfo.InvariantCulture, $"{wait:0.0} ms{times}");
        }
    }

    static void Tell(IReadOnlyList<string> failures)
    {
        foreach (var kind in failures.GroupBy(f => f))
            Console.WriteLine($"  failed {kind.Count()} times: {kind.Key}");
    }

    static async Task<IReadOnlyList<string>> RevokedAsync(DoorServer server)
    {
        using var client = server.Operator();
        List<string> tokens = [];
        for (var i = 0; i < Revoked; i++)
            tokens.Add(await DoorServer.EnrolAsync(client, NameOf(i)));
        for (var i = 0; i < Revoked; i++)
        {
            using var answer = await client.DeleteAsync(
                new Uri($"api/whistle/v1/agents?tenant=t&cluster=c&node={NameOf(i)}", UriKind.Relative));
            answer.EnsureSuccessStatusCode();
        }

        return tokens;

        static string NameOf(int number) => string.Create(CultureInfo.InvariantCulture, $"revoked-{number}");
    }
}
