using Whistle.Ingest.Stores;
using Whistle.State.Files;

using Xunit;

namespace Whistle.Tests.Ingest;

/// <summary>What <c>whistle data check</c> finds in a stopped server's folder, and that looking changes nothing.</summary>
public sealed class StoreInspectionTests(StoreDamageTests.Made made) : IClassFixture<StoreDamageTests.Made>
{
    [Fact]
    public void A_folder_that_nobody_harmed_is_not_damaged_and_stays_as_it_is()
    {
        var copy = made.Folder.CopyTo("inspect-whole");
        var before = Contents(copy);

        Assert.DoesNotContain(Look(copy), f => f.IsDamage);

        Assert.Equal(before, Contents(copy));
    }

    [Theory]
    [InlineData("sealed/2026-03-01T11Z.2.samples.parquet", "2026-03-01T11Z")]
    [InlineData("sealed/2026-03-01T12Z.1.series.parquet", "2026-03-01T12Z")]
    [InlineData("sealed/2026-03-01T12Z.1.labels.parquet", "2026-03-01T12Z")]
    [InlineData("sealed/2026-03-01T10Z.json", "2026-03-01T10Z")]
    [InlineData("hot.duckdb", "hot.duckdb")]
    [InlineData("commits", "hot.duckdb")]
    [InlineData("format", "format")]
    public void A_damaged_file_is_named_and_nothing_is_changed(string file, string part)
    {
        var copy = made.Folder.CopyTo($"inspect-{Path.GetFileName(file)}");
        var bytes = File.ReadAllBytes(Path.Combine(copy, file));
        for (var i = 0; i < bytes.Length; i += 7)
            bytes[i] ^= 0x55;
        File.WriteAllBytes(Path.Combine(copy, file), bytes);
        var before = Contents(copy);

        Assert.Contains(Look(copy), f => f.IsDamage && f.Part == part);

        Assert.Equal(before, Contents(copy));
    }

    [Fact]
    public void What_was_set_aside_is_no_damage_and_is_told_of_until_somebody_deletes_it()
    {
        var copy = made.Folder.CopyTo("inspect-set-aside");
        File.WriteAllText(Path.Combine(copy, "sealed", "2026-03-01T12Z.1.samples.parquet"), "no parquet");
        using (var store = new DuckDbStore(new StoreOptions(copy, TimeSpan.FromDays(30)), made.Folder.Time))
            Assert.Equal(3, store.ProveAll());

        Assert.DoesNotContain(Look(copy), f => f.IsDamage);
        var entry = Assert.Single(Look(copy), f => f.IsAside);
        Assert.StartsWith("set-aside/", entry.Part, StringComparison.Ordinal);
        Assert.Contains("2026-03-01T12Z", entry.Text, StringComparison.Ordinal);

        Directory.Delete(Path.Combine(copy, entry.Part), recursive: true);
        Assert.DoesNotContain(Look(copy), f => f.IsDamage || f.IsAside);
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("empty")]
    [InlineData("garbled")]
    [InlineData("of the other kind")]
    public void Whatever_happened_to_any_file_or_folder_each_part_has_a_finding(string harm)
    {
        var whole = made.Folder.CopyTo($"inspect-sweep-{harm}");
        File.WriteAllText(Path.Combine(whole, "sealed", "2026-03-01T12Z.1.samples.parquet"), "no parquet");
        using (var store = new DuckDbStore(new StoreOptions(whole, TimeSpan.FromDays(30)), made.Folder.Time))
            store.ProveAll();
        var entries = Directory.GetFileSystemEntries(whole, "*", SearchOption.AllDirectories).Select(e => Path.GetRelativePath(whole, e))
            .Order(StringComparer.Ordinal).ToList();
        Assert.Contains("set-aside", entries);
        Assert.Contains("hot.duckdb", entries);

        foreach (var entry in entries.Prepend(""))
        {
            var copy = Path.Combine(Directory.CreateTempSubdirectory("whistle-sweep").FullName, "telemetry");
            TelemetryFolder.Copy(whole, copy);
            Harm(Path.Combine(copy, entry), harm);

            var findings = Look(copy);

            Assert.True(
                entry.Length == 0 || (findings.Exists(f => f.Part == "format") && findings.Exists(f => f.Part == "hot.duckdb")),
                $"{entry}, {harm}: {string.Join("; ", findings)}");
            Directory.Delete(Path.GetDirectoryName(copy)!, recursive: true);
        }
    }

    [Fact]
    public void Without_its_hot_file_and_sealed_hours_a_folder_has_lost_nothing_that_can_be_told()
    {
        var copy = made.Folder.CopyTo("inspect-bare");
        File.Delete(Path.Combine(copy, "hot.duckdb"));
        Directory.Delete(Path.Combine(copy, "sealed"), recursive: true);

        Assert.Contains("is missing", Assert.Single(Look(copy), f => f.Part == "hot.duckdb").Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("format", "format")]
    [InlineData("sealed", "sealed")]
    [InlineData("hot.duckdb", "hot.duckdb")]
    [InlineData("sealed/2026-03-01T10Z.json", "2026-03-01T10Z")]
    public void What_is_of_the_wrong_kind_is_damage_of_its_part(string file, string part)
    {
        var copy = made.Folder.CopyTo($"inspect-kind-{Path.GetFileName(file)}");
        Harm(Path.Combine(copy, file), "of the other kind");

        Assert.True(Assert.Single(Look(copy), f => f.Part == part).IsDamage);
    }

    static void Harm(string path, string harm)
    {
        var isFolder = Directory.Exists(path);
        var bytes = isFolder ? [] : File.ReadAllBytes(path);
        for (var i = 0; i < bytes.Length; i += 7)
            bytes[i] ^= 0x55;
        if (isFolder)
            Directory.Delete(path, recursive: true);
        else
            File.Delete(path);
        if (harm == "of the other kind" ? !isFolder : isFolder && harm != "missing")
            Directory.CreateDirectory(path);
        else if (harm != "missing")
            File.WriteAllBytes(path, harm == "garbled" ? bytes : []);
        if (isFolder && harm == "garbled")
            File.WriteAllText(Path.Combine(path, "2026-03-01T10Z.json"), "{}");
    }

    List<DataFinding> Look(string folder) => [.. StoreInspection.Look(folder, made.Folder.Time)];

    static List<(string, string)> Contents(string folder) =>
        [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(f => (f, Convert.ToBase64String(File.ReadAllBytes(f))))];
}
