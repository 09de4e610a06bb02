using Whistle.Backups;
using Whistle.State;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>The files of a state of <see cref="Facts"/> facts; tests work on copies.</summary>
public sealed class StateScenes : IAsyncLifetime
{
    // Some more than the checkpoint before them has taken into the file.
    public const int Facts = 430;

    public const string Table = "CREATE TABLE facts (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";

    public async ValueTask InitializeAsync()
    {
        using (var state = await OpenAsync(Closed))
            await AddAsync(state, 0, 150);
        Older = Closed.Copy();
        using (var state = await OpenAsync(Closed))
        {
            await AddAsync(state, 150, Facts);
            Killed = Closed.Copy();
        }
    }

    /// <summary>Of a stopped server: all is in the file.</summary>
    internal StateFolder Closed { get; } = new();

    /// <summary>Of a killed one: what was written last is in the log alone.</summary>
    internal StateFolder Killed { get; private set; } = null!;

    /// <summary>As the killed one was when it had been stopped before, some checkpoints ago.</summary>
    internal StateFolder Older { get; private set; } = null!;

    public ValueTask DisposeAsync()
    {
        foreach (var folder in new[] { Closed, Killed, Older })
            folder.Dispose();
        return ValueTask.CompletedTask;
    }

    internal static async Task<StateDatabase> OpenAsync(StateFolder folder)
    {
        var state = new StateDatabase(folder.File, new StateOpening { HasHistory = Directory.GetFiles(folder.Path).Length > 0 });
        try
        {
            await state.UpgradeAsync([new StateSchema("facts", Table)], _ => { }, TestContext.Current.CancellationToken);
            return state;
        }
        catch
        {
            state.Dispose();
            throw;
        }
    }

    internal static async Task AddAsync(StateDatabase state, int from, int to)
    {
        await using var connection = await state.OpenAsync(TestContext.Current.CancellationToken);
        for (var i = from; i < to; i++)
            await connection.ExecuteAsync(
                "INSERT INTO facts (text) VALUES ($text)", TestContext.Current.CancellationToken, ("$text", $"fact {i}"));
    }
}

/// <summary>Every file of the state × everything that may befall it: it is used only where it holds what was last written.</summary>
public sealed class StateFileTests(StateScenes scenes) : IClassFixture<StateScenes>
{
    public enum Fate
    {
        Missing, Empty, Cut10, Cut100, CutHalf, CutByAPage, CutByOne, GarbledHead, GarbledBlock, GarbledEverywhere,
        ZeroedHead, ZeroedBlock, ZeroedAll, Older, Folder, ForeignDatabase, NoDatabase, LinkToItself,
    }

    public static TheoryData<string, Fate, bool> Cells()
    {
        var cells = new TheoryData<string, Fate, bool>();
        foreach (var file in new[] { "", "-wal", "-shm", "-instance" })
        {
            foreach (var fate in Enum.GetValues<Fate>())
            {
                cells.Add(file, fate, false);
                cells.Add(file, fate, true);
            }
        }

        return cells;
    }

    [Theory]
    [MemberData(nameof(Cells))]
    public async Task A_state_is_refused_and_left_alone_or_holds_all_that_was_written(string file, Fate fate, bool isKilled)
    {
        using var folder = (isKilled ? scenes.Killed : scenes.Closed).Copy();
        Befall(folder, folder.File + file, fate);
        var before = folder.Contents();

        if (await AskAsync(folder) is { } refused)
        {
            Assert.Contains(folder.File, refused, StringComparison.Ordinal);
            Assert.Matches("Restore|restore|Check the disk|Check that|Move it away|Stop that process", refused);
            Assert.Equal(before, folder.Contents());
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("-wal")]
    public async Task What_a_killed_server_wrote_last_is_never_lost_in_silence(string file)
    {
        foreach (var fate in new[] { Fate.Missing, Fate.Empty, Fate.Cut100, Fate.ZeroedHead, Fate.Older })
        {
            using var folder = scenes.Killed.Copy();
            Befall(folder, folder.File + file, fate);
            Assert.NotNull(await AskAsync(folder));
        }
    }

    [Fact]
    public async Task A_log_that_lost_any_of_its_changes_is_noticed()
    {
        var noticed = 0;
        // A frame is a page with 24 bytes before it; the log begins with 32.
        for (var length = new FileInfo(scenes.Killed.Log).Length; length > 0; length -= 4096 + 24)
        {
            using var folder = scenes.Killed.Copy();
            Cut(folder.Log, length);
            noticed += await AskAsync(folder) is { } refused && refused.Contains("is older than it was", StringComparison.Ordinal) ? 1 : 0;
        }

        Assert.InRange(noticed, StateScenes.Facts % 100, int.MaxValue);
    }

    [Fact]
    public void A_folder_with_the_leavings_of_a_server_but_no_state_is_told_from_a_first_start()
    {
        using var folder = new StateFolder();
        var history = new StateOpening { HasHistory = true };
        var refused = Assert.Throws<StateException>(() => new StateDatabase(folder.File, history)).Message;
        Assert.Contains("is missing", refused, StringComparison.Ordinal);
        Assert.Contains("--accept-state", refused, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Path));

        File.WriteAllText(folder.File, "");
        Assert.Contains(
            "is empty", Assert.Throws<StateException>(() => new StateDatabase(folder.File, history)).Message, StringComparison.Ordinal);
        // A first start that died after it had made the file.
        using (var state = new StateDatabase(folder.File))
            Assert.True(state.IsNew);
        // And after it had made the file a database.
        using (var state = new StateDatabase(folder.File))
            Assert.Null(state.Accepted);
        Assert.Contains(
            "holds nothing", Assert.Throws<StateException>(() => new StateDatabase(folder.File, history)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_accepted_is_said_and_from_then_on_right()
    {
        using var folder = scenes.Killed.Copy();
        File.Delete(folder.Log);
        Assert.NotNull(await AskAsync(folder));

        using (var state = new StateDatabase(folder.File, new StateOpening { Accept = true }))
        {
            Assert.Contains("is older than it was", state.Accepted, StringComparison.Ordinal);
            await state.MigrateAsync(new StateSchema("facts", StateScenes.Table), TestContext.Current.CancellationToken);
            await state.SettleAsync(TestContext.Current.CancellationToken);
        }

        using (var state = new StateDatabase(folder.File))
            Assert.Null(state.Accepted);
        File.Delete(folder.File);
        using (var state = new StateDatabase(folder.File, new StateOpening { Accept = true }))
        {
            Assert.Contains("is missing", state.Accepted, StringComparison.Ordinal);
            await state.MigrateAsync(new StateSchema("facts", StateScenes.Table), TestContext.Current.CancellationToken);
            await state.SettleAsync(TestContext.Current.CancellationToken);
        }

        using (new StateDatabase(folder.File))
            Assert.Equal(["0"], folder.Sql("SELECT count(*) FROM facts"));
    }

    [Theory]
    [InlineData("-wal", Fate.Missing)]
    [InlineData("", Fate.Missing)]
    [InlineData("", Fate.Older)]
    [InlineData("-instance", Fate.Missing)]
    [InlineData("-instance", Fate.GarbledHead)]
    public async Task A_start_that_accepts_a_state_and_ends_early_leaves_it_refused(string file, Fate fate)
    {
        using var folder = scenes.Killed.Copy();
        Befall(folder, folder.File + file, fate);
        using (var state = new StateDatabase(folder.File, new StateOpening { Accept = true, HasHistory = true }))
            await state.MigrateAsync(new StateSchema("facts", StateScenes.Table), TestContext.Current.CancellationToken);

        Assert.Contains("--accept-state", await AskAsync(folder), StringComparison.Ordinal);
    }

    [Fact]
    public void A_damaged_state_is_never_accepted()
    {
        using var folder = scenes.Closed.Copy();
        Befall(folder, folder.File, Fate.GarbledEverywhere);

        var refused = Assert.Throws<StateException>(() => new StateDatabase(folder.File, new StateOpening { Accept = true })).Message;
        Assert.Contains("is damaged", refused, StringComparison.Ordinal);
        Assert.Contains("whistle backup restore", refused, StringComparison.Ordinal);
        // That opens the telemetry alone.
        Assert.DoesNotContain("whistle data repair", refused, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_state_of_another_folder_is_told()
    {
        using var other = new StateFolder();
        using (var state = await StateScenes.OpenAsync(other))
            await StateScenes.AddAsync(state, 0, 3);
        using var folder = scenes.Closed.Copy();
        File.Copy(other.File, folder.File, overwrite: true);

        Assert.Contains("is not the state that was last here", await AskAsync(folder), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_state_without_its_mark_is_refused_where_a_server_has_run()
    {
        using var folder = scenes.Closed.Copy();
        File.Delete(folder.File + "-instance");

        Assert.Contains("-instance is missing", await AskAsync(folder), StringComparison.Ordinal);
        Assert.False(File.Exists(folder.File + "-instance"));
        using (var state = new StateDatabase(folder.File))
            await (await state.OpenAsync(TestContext.Current.CancellationToken)).DisposeAsync();
        Assert.True(File.Exists(folder.File + "-instance"));
        Assert.Null(await AskAsync(folder));
    }

    [Fact]
    public async Task A_restored_state_and_one_of_a_version_that_kept_no_mark_are_taken_and_marked()
    {
        using var folder = scenes.Closed.Copy();
        File.Delete(folder.File + "-instance");
        var restored = Path.Combine(folder.Path, RestoreMark.FileName);
        File.WriteAllText(restored, "{}");
        Assert.Null(await AskAsync(folder));
        File.Delete(restored);
        Assert.Null(await AskAsync(folder));

        File.Delete(folder.File + "-instance");
        folder.Sql("DROP TABLE seals; DROP TABLE instance; DROP TABLE lineage; DELETE FROM migrations WHERE stage = 'state'");
        Assert.Null(await AskAsync(folder));
        Assert.True(File.Exists(folder.File + "-instance"));
    }

    [Fact]
    public async Task New_files_are_for_their_owner_alone()
    {
        using var folder = new StateFolder();
        using var state = await StateScenes.OpenAsync(folder);
        foreach (var file in Directory.GetFiles(folder.Path))
        {
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
    }

    // Null where the state was taken, and then it holds every fact.
    static async Task<string?> AskAsync(StateFolder folder)
    {
        try
        {
            using var state = await StateScenes.OpenAsync(folder);
            await using var connection = await state.OpenAsync(TestContext.Current.CancellationToken);
            Assert.Equal(Enumerable.Range(0, StateScenes.Facts).Select(i => $"fact {i}"), await connection.QueryAsync(
                "SELECT text FROM facts ORDER BY id", r => r.GetString(0), TestContext.Current.CancellationToken));
            return null;
        }
        catch (StateException e)
        {
            return e.Message;
        }
    }

    void Befall(StateFolder folder, string path, Fate fate)
    {
        // What is not there may be missing, or stand there wrongly; it cannot be cut.
        if (!File.Exists(path) && fate is not (Fate.Missing or Fate.Empty or Fate.Older or Fate.Folder or Fate.ForeignDatabase
            or Fate.NoDatabase or Fate.LinkToItself))
            return;
        var length = File.Exists(path) ? new FileInfo(path).Length : 0;
        switch (fate)
        {
            case Fate.Missing:
                File.Delete(path);
                break;
            case Fate.Empty:
                File.WriteAllText(path, "");
                break;
            case Fate.Cut10 or Fate.Cut100 or Fate.CutHalf or Fate.CutByAPage or Fate.CutByOne:
                Cut(path, fate switch
                {
                    Fate.Cut10 => 10,
                    Fate.Cut100 => 100,
                    Fate.CutHalf => length / 2,
                    Fate.CutByAPage => length - 4096,
                    _ => length - 1,
                });
                break;
            case Fate.GarbledHead or Fate.ZeroedHead:
                Overwrite(path, 0, 64, fate is Fate.ZeroedHead);
                break;
            case Fate.GarbledBlock or Fate.ZeroedBlock:
                Overwrite(path, length / 2 / 4096 * 4096, 4096, fate is Fate.ZeroedBlock);
                break;
            case Fate.GarbledEverywhere:
                for (var at = 100L; at < length; at += 1000)
                    Overwrite(path, at, 40, false);
                break;
            case Fate.ZeroedAll:
                Overwrite(path, 0, (int)length, true);
                break;
            case Fate.Older:
                File.Delete(path);
                var old = scenes.Older.File + path[folder.File.Length..];
                if (File.Exists(old))
                    File.Copy(old, path);
                break;
            case Fate.Folder:
                File.Delete(path);
                Directory.CreateDirectory(path);
                break;
            case Fate.ForeignDatabase:
                File.Delete(path);
                folder.Sql("CREATE TABLE bookmarks (id INTEGER); INSERT INTO bookmarks VALUES (1)", path + ".foreign");
                File.Move(path + ".foreign", path);
                break;
            case Fate.NoDatabase:
                File.WriteAllText(path, string.Concat(Enumerable.Repeat("This is a letter to somebody.\n", 500)));
                break;
            case Fate.LinkToItself:
                File.Delete(path);
                File.CreateSymbolicLink(path, path);
                break;
        }
    }

    static void Cut(string path, long length)
    {
        using var file = File.OpenWrite(path);
        file.SetLength(Math.Max(0, length));
    }

    static void Overwrite(string path, long at, int count, bool zero)
    {
        var bytes = new byte[count];
        if (!zero)
            new Random(1).NextBytes(bytes);
        using var file = File.OpenWrite(path);
        count = (int)Math.Min(count, file.Length - at);
        file.Position = at;
        file.Write(bytes, 0, count);
    }
}
