using Whistle.Ingest;

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
    public void What_was_set_aside_is_found_until_somebody_deletes_it()
    {
        var copy = made.Folder.CopyTo("inspect-set-aside");
        File.WriteAllText(Path.Combine(copy, "sealed", "2026-03-01T12Z.1.samples.parquet"), "no parquet");
        using (var store = new DuckDbStore(new StoreOptions(copy, TimeSpan.FromDays(30)), made.Folder.Time))
            Assert.Equal(3, store.ProveAll());

        var entry = Assert.Single(Look(copy), f => f.IsDamage);
        Assert.StartsWith("set-aside/", entry.Part, StringComparison.Ordinal);
        Assert.Contains("2026-03-01T12Z", entry.Text, StringComparison.Ordinal);

        Directory.Delete(Path.Combine(copy, entry.Part), recursive: true);
        Assert.DoesNotContain(Look(copy), f => f.IsDamage);
    }

    List<DataFinding> Look(string folder) => [.. StoreInspection.Look(folder, made.Folder.Time)];

    static List<(string, string)> Contents(string folder) =>
        [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(f => (f, Convert.ToBase64String(File.ReadAllBytes(f))))];
}
