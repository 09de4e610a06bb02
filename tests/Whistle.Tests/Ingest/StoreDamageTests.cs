using Whistle.Ingest.Series;
using Whistle.Ingest.Stores;
using Whistle.State.Files;
using Whistle.State.Health;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

/// <summary>
/// Files of the telemetry folder go missing, are older, cut, zeroed or garbled, of a stopped server or a running one. Whatever is answered
/// then was stored so; what is not answered is told of; and nothing ends in an exception that nobody expects.
/// </summary>
public sealed class StoreDamageTests(StoreDamageTests.Made made) : IClassFixture<StoreDamageTests.Made>
{
    public sealed class Made : IDisposable
    {
        internal TelemetryFolder Folder { get; } = new();

        public void Dispose() => Folder.Dispose();
    }

    enum Harm
    {
        Missing,
        Empty,
        Truncated,
        Zeroed,
        Garbled,
        Older,
    }

    static readonly Harm[] Harms = Enum.GetValues<Harm>();

    TelemetryFolder Folder => made.Folder;

    /// <summary>Every file × every harm, one at a time, to a stopped server.</summary>
    [Fact]
    public void No_single_damaged_file_gives_a_wrong_answer_or_loses_samples_in_silence()
    {
        var random = new Random(1);
        foreach (var file in FilesOf(Folder.Folder))
        {
            foreach (var harm in Harms)
            {
                var copy = Folder.CopyTo($"single-{Path.GetFileName(file)}-{harm}");
                var what = Harmed(copy, file, harm, random);
                Check(copy, what);
                Directory.Delete(copy, recursive: true);
            }
        }
    }

    /// <summary>Several at once; half of them to a running server.</summary>
    [Fact]
    public void No_combination_of_damaged_files_gives_a_wrong_answer_or_loses_samples_in_silence()
    {
        var (first, count) = (Number("WHISTLE_TEST_SEED", 2026), Number("WHISTLE_TEST_SEEDS", 150));
        for (var seed = first; seed < first + count; seed++)
        {
            var random = new Random(seed);
            var copy = Folder.CopyTo($"seed-{seed}");
            Action harm = () => { };
            List<string> what = [$"seed {seed}"];
            for (var i = random.Next(1, 4); i > 0; i--)
            {
                var files = FilesOf(copy).ToList();
                var (file, kind) = (files[random.Next(files.Count)], Harms[random.Next(Harms.Length)]);
                harm += () => what.Add(Harmed(copy, file, kind, random));
            }

            if (seed % 2 == 0)
            {
                harm();
                Check(copy, string.Join("; ", what));
            }
            else
            {
                CheckRunning(copy, harm, () => string.Join("; ", what));
            }

            Directory.Delete(copy, recursive: true);
        }
    }

    [Fact]
    public void A_hot_store_that_is_deleted_gives_its_ids_to_nobody_and_is_told_of()
    {
        var copy = Folder.CopyTo("deleted-hot");
        File.Delete(Path.Combine(copy, "hot.duckdb"));
        File.Delete(Path.Combine(copy, "hot.duckdb.wal"));

        var health = Check(copy, "hot store deleted");

        Assert.Contains(
            health.Problems(), p => p.Subject == "hot" && p.Reason.Contains("older than what was stored", StringComparison.Ordinal));
    }

    [Fact]
    public void A_folder_that_nobody_harmed_answers_all_and_tells_of_nothing()
    {
        var copy = Folder.CopyTo("whole");

        var health = Check(copy, "nothing");

        Assert.Empty(health.Problems());
    }

    [Fact]
    public void A_newer_format_is_refused_with_both_numbers()
    {
        var copy = Folder.CopyTo("newer");
        File.WriteAllText(Path.Combine(copy, "format"), "3\n");

        var refusal = Assert.Throws<StoreException>(() => Open(copy, new HealthBoard(Folder.Time)));

        Assert.Contains("format 3", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("up to 2", refusal.Message, StringComparison.Ordinal);
    }

    HealthBoard Check(string folder, string what)
    {
        var health = new HealthBoard(Folder.Time);
        using (var store = Open(folder, health))
        {
            var found = Ask(store, health, what);
            Write(store, what);
            AssertSame(found, Ask(store, health, what), what);
        }

        // What was told is told again, and what was right stays so, after sealing and another start.
        var again = new HealthBoard(Folder.Time);
        using (var store = Open(folder, again))
        {
            store.Maintain();
            Ask(store, again, what);
        }

        return health;
    }

    void CheckRunning(string folder, Action harm, Func<string> what)
    {
        var health = new HealthBoard(Folder.Time);
        using (var store = Open(folder, health))
        {
            Ask(store, health, what());
            harm();
            Ask(store, health, what());
            try
            {
                Write(store, what());
                store.Maintain();
            }
            catch (StoreException)
            {
                store.Recover();
                Write(store, what());
            }

            Ask(store, health, what());
        }

        Check(folder, what());
    }

    DuckDbStore Open(string folder, HealthBoard health) => new(new StoreOptions(folder, TimeSpan.FromDays(30)), Folder.Time, health);

    // All that is answered is in the books; what is missing is warned of and on the health board.
    Dictionary<(string, string, long), double> Ask(DuckDbStore store, HealthBoard health, string what)
    {
        using var warnings = ReadWarnings.Collect();
        var found = new Dictionary<(string, string, long), double>();
        foreach (var series in store.Select([new(Labels.MetricName, MatchOperator.Equal, "m")], 0, long.MaxValue))
        {
            for (var i = 0; i < series.Times.Length; i++)
                found.Add((series.Labels["tenant"], series.Labels["series"], series.Times[i]), series.Values[i]);
        }

        foreach (var (key, value) in found)
            Assert.True(Folder.Books.TryGetValue(key, out var right) && right == value, $"{what}: {key} is {value}, not {right}");
        var missing = Folder.Books.Keys.Where(k => !found.ContainsKey(k)).ToList();
        Assert.True(
            missing.Count == 0 || warnings.Texts.Count > 0,
            $"{what}: {missing.Count} samples are missing, such as {missing.FirstOrDefault()}, and no warning says so");
        Assert.True(
            missing.Count == 0 || health.Problems().Count > 0, $"{what}: {missing.Count} samples are missing, and health says nothing");
        return found;
    }

    // A new series of another tenant gets what is written to it and nothing else.
    void Write(DuckDbStore store, string what)
    {
        var series = new HeadSeries(store.LastSeriesId + 1, Labels.OfMetric("new", ("tenant", "gamma")), "gamma");
        var batch = new CommitBatch();
        batch.NewSeries.Add(series);
        var now = Folder.Time.GetUtcNow().ToUnixTimeMilliseconds();
        batch.Add(series, now, 42, late: false);
        store.Append(batch);
        var answer = Assert.Single(store.Select([new("tenant", MatchOperator.Equal, "gamma")], 0, long.MaxValue));
        Assert.True(
            answer.Times is [var time] && time == now && answer.Values is [42],
            $"{what}: the new series has {answer.Times.Length} samples");
    }

    static void AssertSame(
        Dictionary<(string, string, long), double> before, Dictionary<(string, string, long), double> after, string what) =>
        Assert.True(
            before.Count == after.Count && before.All(b => after.TryGetValue(b.Key, out var value) && value == b.Value),
            $"{what}: {before.Count} samples became {after.Count}");

    static IEnumerable<string> FilesOf(string folder) =>
        Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(folder, f))
            .Where(f => !f.StartsWith("set-aside", StringComparison.Ordinal)).Order(StringComparer.Ordinal);

    string Harmed(string folder, string file, Harm harm, Random random)
    {
        var path = Path.Combine(folder, file);
        // An earlier harm, or the running server, may have taken it away.
        if (!File.Exists(path))
            return $"{file} was gone";
        var length = new FileInfo(path).Length;
        switch (harm)
        {
            case Harm.Missing:
                File.Delete(path);
                return $"{file} missing";
            case Harm.Empty:
                using (var stream = Overwrite(path))
                    stream.SetLength(0);
                return $"{file} empty";
            case Harm.Truncated:
                var rest = length == 0 ? 0 : random.NextInt64(length);
                using (var stream = Overwrite(path))
                    stream.SetLength(rest);
                return $"{file} cut to {rest} of {length}";
            case Harm.Older:
                var older = Folder.Older.Select(o => Path.Combine(o, file)).Where(File.Exists).ToList();
                if (older.Count == 0)
                    return $"{file} has no older state";
                var from = older[random.Next(older.Count)];
                var (bytesBefore, target) = (File.ReadAllBytes(from), Overwrite(path));
                using (target)
                {
                    target.SetLength(0);
                    target.Write(bytesBefore);
                }

                return $"{file} as {Path.GetFileName(Path.GetDirectoryName(from.Replace("/sealed/", "/", StringComparison.Ordinal)))}";
            default:
                var (at, bytes) = (length == 0 ? 0 : random.NextInt64(length), new byte[random.Next(1, 5000)]);
                if (harm == Harm.Garbled)
                    random.NextBytes(bytes);
                using (var stream = Overwrite(path))
                {
                    stream.Position = at;
                    stream.Write(bytes, 0, (int)Math.Min(bytes.Length, length - at));
                }

                return $"{file} {harm} at {at}, {bytes.Length} bytes of {length}";
        }
    }

    // A running server may have it open.
    static FileStream Overwrite(string path) => new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);

    static int Number(string variable, int usual) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), out var number) ? number : usual;
}
