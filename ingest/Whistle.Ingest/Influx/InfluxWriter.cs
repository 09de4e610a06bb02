using System.Net;
using System.Text;
using System.Text.RegularExpressions;

using Microsoft.Extensions.Logging;

using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Ingest.Influx;

/// <summary>
/// Writes lines to one endpoint until they are taken. A line that the server refuses is found and passed over, since it would be refused
/// for ever; what is only late is tried again.
/// </summary>
sealed partial class InfluxWriter(
    InfluxConnection connection, InfluxOptions options, TimeProvider time, HealthBoard? health, ILogger? logger)
{
    // To find one line among ten thousand takes 28 requests.
    const int MostSearches = 2_000;

    // More would not be read.
    const int MostLogged = 10;

    static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(3);

    readonly Random _random = new(options.Seed);
    long _refused;
    int _searches;
    int _logged;

    /// <summary>How many lines the server has refused for good.</summary>
    public long Refused => Volatile.Read(ref _refused);

    /// <summary>It took nothing the last time: one try is enough to see whether it does again.</summary>
    public bool IsHasty { get; set; }

    /// <summary>When this returns, the server has the lines, but for those that it refuses.</summary>
    /// <exception cref="StoreException">It does not answer, or it takes nothing from Whistle.</exception>
    public void Write(ReadOnlyMemory<byte> lines, int count, long started)
    {
        (_searches, _logged) = (0, 0);
        var before = Refused;
        Store(lines, count, started);
        if (Refused - before > MostLogged)
            logger?.LinesRefused(connection.Name, Refused - before - Math.Min(_logged, MostLogged));
    }

    void Store(ReadOnlyMemory<byte> lines, int count, long started)
    {
        var answer = WriteInTime(lines, started);
        if (answer.IsTaken)
            return;
        if (PastRetention(answer) is > 0 and var lost)
        {
            Refuse(Math.Min(lost, count), count == 1 ? lines : default, answer.Text);
            return;
        }

        if (answer.IsForeign)
            throw connection.Failure("is not what answers there: it said 200 to samples, as a proxy's page does. Check the address.");
        if (!answer.IsRefusal)
            throw connection.Failure(
                $"took no samples: {(int)answer.Status!} {InfluxConnection.Shortened(answer.Text)}", answer.Status);

        if (count == 1 || ++_searches > MostSearches)
        {
            Refuse(count, count == 1 ? lines : default, answer.Text);
            return;
        }

        var (half, firsts) = Half(lines.Span, count);
        Store(lines[..half], firsts, started);
        Store(lines[half..], count - firsts, started);
    }

    WriteAnswer WriteInTime(ReadOnlyMemory<byte> lines, long started)
    {
        var wait = FirstWait;
        var isTokenNew = false;
        while (true)
        {
            var answer = connection.Write(lines);
            if (answer.Status is HttpStatusCode.Unauthorized && !isTokenNew)
            {
                // The file may have another by now.
                isTokenNew = true;
                continue;
            }

            if (!answer.IsPassing || PastRetention(answer) > 0)
                return answer;
            var next = answer.RetryAfter is { } after && after > TimeSpan.Zero ? after : wait * (0.5 + (0.5 * _random.NextDouble()));
            if (IsHasty || time.GetElapsedTime(started) + next > options.RetryFor)
            {
                var status = answer.Status is { } code ? $"{(int)code} " : "";
                throw connection.Failure(
                    $"took no samples for {options.RetryFor.TotalSeconds:0.#} s: {status}{InfluxConnection.Shortened(answer.Text)}");
            }

            Task.Delay(next, time, CancellationToken.None).GetAwaiter().GetResult();
            wait = wait * 2 < LongestWait ? wait * 2 : LongestWait;
        }
    }

    /// <summary>Counts a line that no server takes, without asking one.</summary>
    public void Refuse(string reason) => Refuse(1, default, reason);

    // All others are stored then, since the server says it once it has the answers of all its shards. Of anything else it says the first
    // failure, and another shard may have failed too: the halves are written again.
    static int PastRetention(WriteAnswer answer) =>
        Dropped().Match(answer.Text) is { Success: true } dropped && int.TryParse(dropped.Groups[1].ValueSpan, out var lost) ? lost : 0;

    void Refuse(int count, ReadOnlyMemory<byte> line, string reason)
    {
        reason = InfluxConnection.Shortened(reason);
        Interlocked.Add(ref _refused, count);
        health?.Report(
            InfluxStore.Component, $"{connection.Subject} refused", HealthState.Warning,
            $"InfluxDB at {connection.Name} has refused {Refused} samples for good since the start, the last with: {reason} "
            + "They are lost. See the server's log for which they were.");
        if (++_logged <= MostLogged)
            logger?.LineRefused(connection.Name, count, line.IsEmpty ? "unknown" : Encoding.UTF8.GetString(line.Span).TrimEnd(), reason);
    }

    static (int Length, int Count) Half(ReadOnlySpan<byte> lines, int count)
    {
        var length = 0;
        for (var i = 0; i < count / 2; i++)
            length += lines[length..].IndexOf((byte)'\n') + 1;
        return (length, count / 2);
    }

    // The first of its kind in the text, and the number at the very end: it may cite lines, in which a tag may say the same.
    [GeneratedRegex(
        @"\A(?:(?!partial write: )[^\n]){0,200}"
        + @"partial write: (?:points beyond retention policy|dropped \d+ points outside retention policy)"
        + @"[^\n]*dropped=(\d+)(?: for database: \S+ for retention policy: [^\s""}]+)?[""}\s]*\z")]
    private static partial Regex Dropped();
}
