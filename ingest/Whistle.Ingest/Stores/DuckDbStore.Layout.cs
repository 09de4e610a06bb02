using System.Globalization;
using System.Numerics;

using DuckDB.NET.Data;

using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

/// <summary>What is on disk when the store is opened, and what of it can be trusted.</summary>
public sealed partial class DuckDbStore
{
    string FormatFile => Path.Combine(_options.Folder, "format");

    /// <summary>True where the folder is of format 1, which had neither this file nor manifests.</summary>
    bool CheckFormat()
    {
        if (File.Exists(FormatFile))
        {
            var text = File.ReadAllText(FormatFile).Trim();
            if (!BigInteger.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var found) || found < HotFile.Format)
            {
                // It tells nothing; everything else in the folder still does.
                _setAside.Add("format", $"{FormatFile} is damaged and is written again", 0, 0, FormatFile);
                return false;
            }

            if (found > HotFile.Format)
                throw new StoreException($"The telemetry in {_options.Folder} is of format {found}, and this program knows formats up to "
                    + $"{HotFile.Format}. Start the newer program, or restore a backup that this one made.");
            return false;
        }

        var sealedBefore = Directory.EnumerateFiles(SealedFolder, "*.samples.parquet").Count(
            f => SealedHour.HourOf(Path.GetFileName(f)) is not null);
        if (!_hotFile.Exists && sealedBefore == 0)
            return false;
        var copy = CopyHot();
        _logger?.StoreUpgrades(_options.Folder, sealedBefore, copy);
        return true;
    }

    string CopyHot()
    {
        var hot = Path.Combine(_options.Folder, HotFile.Name);
        var copy = hot + ".format-1";
        foreach (var suffix in (string[])["", ".wal"])
        {
            if (File.Exists(hot + suffix) && !File.Exists(copy + suffix))
            {
                File.Copy(hot + suffix, copy + suffix + DurableFile.UnfinishedSuffix, overwrite: true);
                File.Move(copy + suffix + DurableFile.UnfinishedSuffix, copy + suffix);
            }
        }

        return copy;
    }

    void WriteFormat()
    {
        var text = $"{HotFile.Format}\n";
        if (!File.Exists(FormatFile) || File.ReadAllText(FormatFile) != text)
        {
            DurableFile.Write(FormatFile, text);
            _logger?.FormatWritten(FormatFile);
        }
    }

    // A failure leaves what was known, and what is not known is not appended to.
    /// <returns>The number of the last commit that the hot store holds.</returns>
    long ReadLayout(bool isLegacy, bool isReplaced)
    {
        List<long> hot = [.. HotFile.Tables(_connection, null).Where(t => t.StartsWith(HotPrefix, StringComparison.Ordinal))
            .Select(t => long.Parse(t[HotPrefix.Length..], CultureInfo.InvariantCulture))];
        // Format 1 had no mark; from here on there is one.
        if (isLegacy && _mark.Read() is null)
            _mark.Write(0);
        var isMarkExpected = File.Exists(FormatFile) || Directory.EnumerateFiles(SealedFolder, "*" + SealedHour.ManifestSuffix).Any();
        ReadSealed(isLegacy, hot);
        _hot.Clear();
        _hot.UnionWith(hot);
        var commits = ReadCommits(isReplaced, isMarkExpected);
        // A hot table of a sealed hour is what a crash left of sealing it; nothing may be added there.
        if (_sealed.Last is { } last)
            _openFrom = Math.Max(_openFrom, last + 1);
        return commits;
    }

    long ReadCommits(bool isReplaced, bool isMarkExpected)
    {
        var (format, commits) = (0, 0L);
        Query(_connection, "SELECT format, commits, last_id FROM store", row =>
        {
            (format, commits) = (row.GetInt32(0), row.GetInt64(1));
            LastSeriesId = Math.Max(LastSeriesId, row.GetFieldValue<uint>(2));
        });
        Query(
            _connection, "SELECT coalesce(max(id), 0)::UINTEGER FROM series",
            row => LastSeriesId = Math.Max(LastSeriesId, row.GetFieldValue<uint>(0)));
        if (format > HotFile.Format)
            throw new StoreException($"The hot store in {_options.Folder} is of format {format}, and this program knows formats up to "
                + $"{HotFile.Format}. Start the newer program, or restore a backup that this one made.");
        var mark = _mark.Read();
        // The damage of the one that this replaces has been reported already.
        if (!isReplaced && LossOf(commits, mark, isMarkExpected || commits > 0) is { } loss)
            _setAside.Add("hot", loss, NewestHot(), _time.GetUtcNow().ToUnixTimeMilliseconds());
        if (mark > commits)
            Execute($"UPDATE store SET commits = {mark}");
        Committed(Math.Max(commits, mark ?? 0));
        return commits;
    }

    static string? LossOf(long commits, long? mark, bool isMarkExpected) => mark switch
    {
        null when isMarkExpected => $"The mark of the last commit is missing or damaged, so it is unknown whether {HotFile.Name} is whole; "
            + $"it has {commits} commits",
        { } last when last > commits =>
            $"{HotFile.Name} holds {commits} commits of {last}: it is older than what was stored, or was truncated",
        _ => null,
    };

    // From here on, samples may be missing.
    long NewestHot()
    {
        var newest = _sealed.Last is { } last ? (last + 1) * Hour : 0;
        foreach (var hour in _hot)
            Query(
                _connection, $"SELECT coalesce(max(epoch_ms(time)), 0) FROM {HotTable(hour)}",
                row => newest = Math.Max(newest, row.GetInt64(0)));
        return newest;
    }

    void ReadSealed(bool isLegacy, List<long> hot)
    {
        var files = Directory.EnumerateFiles(SealedFolder).Select(f => Path.GetFileName(f)).ToList();
        foreach (var unfinished in files.Where(f => f.EndsWith(DurableFile.UnfinishedSuffix, StringComparison.Ordinal)))
            DropLeftover(unfinished);
        files.RemoveAll(f => f.EndsWith(DurableFile.UnfinishedSuffix, StringComparison.Ordinal));
        var catalogue = new Dictionary<long, SealedHour>();
        Query(_connection, "SELECT hour, manifest FROM hours", row =>
        {
            if (SealedHour.Read(row.GetString(1), row.GetInt64(0)) is { } known)
                catalogue[known.Hour] = known;
        });
        _sealed.Clear();
        // A file of another name is somebody else's.
        foreach (var hour in files.Select(SealedHour.HourOf).OfType<long>().Concat(catalogue.Keys).Distinct().Order())
            ReadHour(
                hour, [.. files.Where(f => SealedHour.HourOf(f) == hour)], catalogue.GetValueOrDefault(hour), isLegacy, hot.Contains(hour));
        WriteCatalogue(catalogue);
    }

    // The manifest and the hot store's catalogue say the same; each makes up for the loss of the other.
    void ReadHour(long hour, List<string> files, SealedHour? listed, bool isLegacy, bool isHot)
    {
        var manifestFile = _sealed.PathOf(SealedHour.NameOf(hour) + SealedHour.ManifestSuffix);
        var manifest = ReadManifest(manifestFile, hour);
        SealedHour[] candidates = [.. new[] { manifest, listed }.OfType<SealedHour>().Distinct().OrderByDescending(c => c.Generation)];
        if (candidates.Length == 0 && isLegacy)
        {
            Adopt(hour, files);
            return;
        }

        var reasons = candidates.Select(_sealed.FaultOfSize).ToArray();
        var chosen = Array.FindIndex(reasons, r => r is null);
        if (chosen < 0 && candidates.Length == 0 && isHot && !File.Exists(manifestFile) && IsInHot(hour, files))
        {
            // What a crash left of sealing the hour for the first time.
            files.ForEach(DropLeftover);
            return;
        }

        if (chosen < 0)
        {
            SetHourAside(hour, files, reasons.FirstOrDefault() ?? "there is no manifest that says what its files must contain");
            return;
        }

        var taken = candidates[chosen];
        _sealed.Take(taken);
        if (taken != manifest)
        {
            _sealed.WriteManifest(taken);
            _logger?.ManifestRepaired(
                manifestFile, manifest is null ? "it was missing or damaged" : $"it was of generation {manifest.Generation}");
        }

        if (chosen > 0)
            _setAside.Add(SealedHour.NameOf(hour), $"Of the hour {SealedHour.NameOf(hour)} only the older generation {taken.Generation} is "
                + $"whole ({reasons[0]}); samples that came late are missing",
                hour * Hour, (hour + 1) * Hour - 1);
        DropOthers(taken, files, isHot);
    }

    // Whether the hot store has at least as many samples of the hour as its files, none of which a manifest names.
    bool IsInHot(long hour, List<string> files)
    {
        try
        {
            var (hot, parquet) = (0L, 0L);
            Query(_connection, $"SELECT count(*) FROM {HotTable(hour)}", row => hot += row.GetInt64(0));
            Query(_connection, $"SELECT count(*) FROM late WHERE {InHour(hour)}", row => hot += row.GetInt64(0));
            foreach (var file in files.Where(f => f.EndsWith(".samples.parquet", StringComparison.Ordinal)))
                Query(
                    _connection, $"SELECT count(*) FROM read_parquet({Quote(_sealed.PathOf(file))})",
                    row => parquet = Math.Max(parquet, row.GetInt64(0)));
            return hot >= parquet;
        }
        catch (Exception e) when (e is StoreException or DuckDBException)
        {
            return false;
        }
    }

    void DropLeftover(string name)
    {
        var file = _sealed.PathOf(name);
        File.Delete(file);
        _logger?.LeftoverDeleted(file);
    }

    static SealedHour? ReadManifest(string file, long hour)
    {
        try
        {
            return File.Exists(file) ? SealedHour.Read(File.ReadAllText(file), hour) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Older generations were replaced. A newer one without a manifest is what a crash left of sealing, while the hot store still has its
    // samples, or of leaving out what is past a tenant's retention.
    void DropOthers(SealedHour taken, List<string> files, bool isHot)
    {
        var others = files.Where(f => f.EndsWith(".parquet", StringComparison.Ordinal) && taken.Files.All(t => t.Name != f)).ToList();
        var late = false;
        Query(_connection, $"SELECT count(*) FROM late WHERE {InHour(taken.Hour)}", row => late = row.GetInt64(0) > 0);
        foreach (var generation in others.GroupBy(SealedHour.GenerationOf).Where(
            g => isHot || late || g.Key <= taken.Generation || IsNoMore(g, taken)))
        {
            foreach (var file in generation)
                DropLeftover(file);
        }

        List<string> unknown = [.. others.Select(_sealed.PathOf).Where(File.Exists)];
        if (unknown.Count > 0)
            _setAside.Add(
                SealedHour.NameOf(taken.Hour), $"Of the hour {SealedHour.NameOf(taken.Hour)} there are files that no manifest names",
                taken.Hour * Hour, (taken.Hour + 1) * Hour - 1, unknown);
    }

    // Whether the files have no more samples than the hour that is taken.
    bool IsNoMore(IEnumerable<string> files, SealedHour taken)
    {
        try
        {
            return files.FirstOrDefault(f => f.EndsWith(".samples.parquet", StringComparison.Ordinal)) is { } samples
                && Count(samples) <= Count(taken.Samples.Name);
        }
        catch (Exception e) when (e is StoreException or DuckDBException)
        {
            return false;
        }

        long Count(string file) => Number(_connection, $"SELECT count(*) FROM read_parquet({Quote(_sealed.PathOf(file))})");
    }

    // A pair of format 1: the series file has all that the samples file refers to, or something is wrong with it.
    void Adopt(long hour, List<string> files)
    {
        var (samples, series, labels) =
            (SealedHour.FileName(hour, 0, "samples"), SealedHour.FileName(hour, 0, "series"), SealedHour.FileName(hour, 0, "labels"));
        try
        {
            var (rows, known) = (0L, 0L);
            Query(_connection, $"SELECT count(value), count(s.id) FROM read_parquet({Quote(_sealed.PathOf(samples))}) LEFT "
                + $"JOIN (SELECT DISTINCT id FROM read_parquet({Quote(_sealed.PathOf(series))})) s ON s.id = series",
                row => (rows, known) = (row.GetInt64(0), row.GetInt64(1)));
            if (known < rows)
                throw new StoreException($"{rows - known} of its samples belong to no series of {series}");
            Execute($"COPY ({LabelPairs($"read_parquet({Quote(_sealed.PathOf(series))})")}) TO {Quote(_sealed.PathOf(labels))} (FORMAT "
                + "parquet, COMPRESSION zstd)");
            DurableFile.Sync(_sealed.PathOf(labels));
            var adopted = new SealedHour(hour, 0, Hashed(samples), Hashed(series), Hashed(labels));
            _sealed.WriteManifest(adopted);
            _sealed.Take(adopted);
            _sealed.Prove(adopted);
        }
        catch (Exception e) when (e is DuckDBException or StoreException or IOException or UnauthorizedAccessException)
        {
            SetHourAside(hour, files, e.Message.Split('\n')[0]);
        }
    }

    SealedFile Hashed(string name) => SealedFile.Of(_sealed.PathOf(name), name);

    void SetHourAside(long hour, IEnumerable<string> files, string reason)
    {
        _sealed.Forget(hour);
        _setAside.Add(
            SealedHour.NameOf(hour), $"The hour {SealedHour.NameOf(hour)} is damaged: {reason}", hour * Hour, (hour + 1) * Hour - 1,
            [.. files.Select(_sealed.PathOf)]);
    }

    void WriteCatalogue(Dictionary<long, SealedHour> before)
    {
        List<long> gone = [.. before.Keys.Where(h => _sealed.Find(h) is null)];
        List<SealedHour> changed = [.. _sealed.All.Where(h => before.GetValueOrDefault(h.Hour) != h)];
        // Rows that cannot be read go too: what is right is written again.
        Execute(
            _connection, "DELETE FROM hours WHERE hour IN (SELECT unnest(?::BIGINT[]))",
            new List<long>([.. gone, .. changed.Select(c => c.Hour)]));
        foreach (var hour in changed)
            Execute(_connection, "INSERT INTO hours VALUES (?, ?)", hour.Hour, hour.Write());
    }

    static void Execute(DuckDBConnection connection, string sql, params object[] parameters)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        foreach (var parameter in parameters)
            command.Parameters.Add(new DuckDBParameter(parameter));
        command.ExecuteNonQuery();
    }
}
