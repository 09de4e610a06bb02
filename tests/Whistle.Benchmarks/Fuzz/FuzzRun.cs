using System.Globalization;
using System.Security.Cryptography;

using Whistle.Fixtures;
using Whistle.PromQL;

namespace Whistle.Benchmarks.Fuzz;

/// <summary>
/// Mutated expressions, each asked of an instant and of a range: every one must be answered or refused within a second of processor time,
/// which others on the machine do not change, and a set memory. What was slow is asked again before it counts: the first may have been
/// compiled.
/// </summary>
sealed class FuzzRun(int seed)
{
    const string Usage = "fuzz [--cases N] [--seed N] [--samples N]";
    const int Shown = 10;
    const int Attempts = 3;
    const long MostBytes = 256 << 20;
    const long RangeStep = 240_000;

    static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

    readonly PriorityQueue<(string Text, TimeSpan Time, long Bytes), TimeSpan> _slowest = new();
    (string Text, long Bytes) _largest = ("", 0);
    int _answered;
    int _refused;
    int _slow;
    int _wrong;

    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var options = arguments.Chunk(2).ToDictionary(a => a[0], a => a.Length > 1 ? a[1] : throw new ArgumentException(Usage));
        var (cases, seed) = (Number("--cases", 1_000_000), Number("--seed", RandomNumberGenerator.GetInt32(int.MaxValue)));
        Console.WriteLine($"seed {seed}, {cases:N0} expressions");
        var run = new FuzzRun(seed);
        await run.TryAsync(cases, Number("--samples", 200_000));
        return run.Report();

        int Number(string option, int usual) =>
            options.TryGetValue(option, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : usual;
    }

    async Task TryAsync(int cases, int samples)
    {
        var (mutations, source) = (new PromQLMutations(seed), new GivenSeries(new PromQLCases(seed).Series()));
        var engine = new PromQLEngine(source, new PromQLOptions { MaxSamples = samples });
        for (var i = 0; i < cases; i++)
        {
            var text = mutations.Next();
            Note(text, await AskAsync(text, (e, none) => engine.InstantAsync(e, PromQLCases.Start + 3_600_000, none)));
            Note(
                text,
                await AskAsync(text, async (e, none) => await engine.RangeAsync(e, PromQLCases.Start, PromQLCases.End, RangeStep, none)));
        }
    }

    async Task<(TimeSpan Time, long Bytes)> AskAsync(string text, Func<Expr, CancellationToken, Task<QueryValue>> ask)
    {
        var (shortest, bytes) = (TimeSpan.MaxValue, 0L);
        for (var attempt = 0; attempt < Attempts && shortest > Longest; attempt++)
        {
            var (before, began) = (GC.GetAllocatedBytesForCurrentThread(), Environment.CpuUsage.TotalTime);
            var answered = await IsAnsweredAsync(text, ask);
            var taken = Environment.CpuUsage.TotalTime - began;
            (shortest, bytes) = (taken < shortest ? taken : shortest, GC.GetAllocatedBytesForCurrentThread() - before);
            if (attempt == 0)
                (_answered, _refused) = answered ? (_answered + 1, _refused) : (_answered, _refused + 1);
        }

        return (shortest, bytes);
    }

    async Task<bool> IsAnsweredAsync(string text, Func<Expr, CancellationToken, Task<QueryValue>> ask)
    {
        try
        {
            await ask(Parser.Parse(text), CancellationToken.None);
            return true;
        }
        catch (PromQLException e) when (e.Message.Length > 0)
        {
            return false;
        }
        catch (Exception e)
        {
            _wrong++;
            Console.WriteLine($"{e.GetType().Name}: {e.Message}\n  {text}");
            return false;
        }
    }

    void Note(string text, (TimeSpan Time, long Bytes) taken)
    {
        _slow += taken.Time > Longest ? 1 : 0;
        if (taken.Bytes > MostBytes)
        {
            _wrong++;
            Console.WriteLine($"{taken.Bytes:N0} bytes\n  {text}");
        }

        if (taken.Bytes > _largest.Bytes)
            _largest = (text, taken.Bytes);
        _slowest.Enqueue((text, taken.Time, taken.Bytes), taken.Time);
        if (_slowest.Count > Shown)
            _slowest.Dequeue();
    }

    int Report()
    {
        Console.WriteLine($"{_answered:N0} answered, {_refused:N0} refused with a reason; "
            + $"{_slow} took longer than {Longest.TotalSeconds} s, {_wrong} crashed or allocated more than {MostBytes >> 20} MiB");
        Console.WriteLine($"most allocated: {_largest.Bytes / 1048576.0:0.0} MiB  {Shortened(_largest.Text)}");
        foreach (var (text, time, bytes) in _slowest.UnorderedItems.Select(i => i.Element).OrderByDescending(i => i.Time))
            Console.WriteLine($"{time.TotalMilliseconds,8:0.0} ms  {bytes / 1048576.0,6:0.0} MiB  {Shortened(text)}");
        return _slow + _wrong == 0 ? 0 : 1;
    }

    static string Shortened(string text) => text.Length <= 400 ? text : $"{text[..200]} … {text[^200..]} ({text.Length} characters)";
}
