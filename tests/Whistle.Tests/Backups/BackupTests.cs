using System.Text.Json.Nodes;

using Whistle.Backups;
using Whistle.Data;
using Whistle.Remediation.Control;
using Whistle.State;
using Whistle.State.Files;

using Xunit;

namespace Whistle.Tests.Backups;

public sealed class BackupTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_backup_holds_all_samples_the_state_and_the_secrets_for_its_owner_alone()
    {
        using var bench = new DataFolderBench().Fill();
        await bench.Control.SetAsync(new KillSwitch(true, "before", "ann", DataFolderBench.Start), TestContext.Current.CancellationToken);
        var manifest = await bench.BackupAsync(Cancellation);
        await bench.Control.SetAsync(new KillSwitch(false, "after", "ann", DataFolderBench.Start), TestContext.Current.CancellationToken);
        bench.Append();

        Assert.Equal(bench.Books.Count - 5, manifest.HotSamples + manifest.SealedSamples);
        Assert.Equal(
            [
                "agent/token", "appsettings.json", "keys/key-1.xml", "state.sqlite", "telemetry/commits", "telemetry/format",
                "telemetry/hot.duckdb", "token",
            ],
            manifest.Files.Select(f => f.Path).Where(f => !f.StartsWith("telemetry/sealed/", StringComparison.Ordinal)));
        Assert.Equal(
            Directory.GetFiles(Path.Combine(bench.Data, "telemetry", "sealed")).Select(f => $"telemetry/sealed/{Path.GetFileName(f)}")
                .Order(StringComparer.Ordinal),
            manifest.Files.Select(f => f.Path).Where(f => f.StartsWith("telemetry/sealed/", StringComparison.Ordinal)));
        Assert.Equal(
            (1, await bench.State.IdentityAsync(Cancellation), "sqlite", bench.Time.GetUtcNow()),
            (manifest.Format, manifest.Instance, manifest.State, manifest.At));
        if (!OperatingSystem.IsWindows())
        {
            foreach (var file in Directory.GetFiles(bench.Target, "*", SearchOption.AllDirectories))
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
            foreach (var folder in Directory.GetDirectories(bench.Target, "*", SearchOption.AllDirectories).Append(bench.Target))
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
        }

        Assert.Equal(manifest.Files, Backup.Verify(bench.Target, _ => { }, Cancellation).Files);
        using (var state = new StateDatabase(Path.Combine(bench.Target, "state.sqlite")))
            Assert.True((await new ControlStore(state).KillSwitchAsync(TestContext.Current.CancellationToken)).On);
        var there = DataFolderBench.Samples(Path.Combine(bench.Target, "telemetry"));
        Assert.Equal(bench.Books.Count - 5, there.Count);
        Assert.All(there, s => Assert.Equal(bench.Books[s.Key], s.Value));
    }

    [Fact]
    public async Task A_backup_that_is_made_while_samples_come_in_and_hours_are_sealed_lacks_none_that_was_stored_before_it()
    {
        using var bench = new DataFolderBench().Fill();
        var before = bench.Books.ToDictionary();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var load = Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                bench.Append();
                bench.Time.Advance(TimeSpan.FromMinutes(1));
                if (bench.Books.Count % 100 == 0)
                    bench.Store.Maintain();
            }
        }, Cancellation);
        for (var i = 0; i < 5; i++)
        {
            before = Snapshot(bench);
            var target = $"{bench.Target}-{i}";
            await Backup.CreateAsync(bench.Source, target, _ => { }, Cancellation);
            Backup.Verify(target, _ => { }, Cancellation);
            var there = DataFolderBench.Samples(Path.Combine(target, "telemetry"));
            Assert.All(before, s => Assert.Equal(s.Value, there[s.Key]));
            var after = Snapshot(bench);
            Assert.All(there, s => Assert.Equal(after[s.Key], s.Value));
        }

        await stop.CancelAsync();
        await load;

        static Dictionary<(string, long), double> Snapshot(DataFolderBench bench)
        {
            lock (bench.Books)
                return bench.Books.ToDictionary();
        }
    }

    [Fact]
    public async Task Files_of_a_generation_that_was_replaced_are_not_part_of_a_backup()
    {
        using var bench = new DataFolderBench().Fill();
        var files = Path.Combine(bench.Data, "telemetry", "sealed");
        var replaced = Path.Combine(files, "2026-03-01T10Z.0.samples.parquet");
        File.Copy(Path.Combine(files, "2026-03-01T10Z.1.samples.parquet"), replaced);
        var manifest = await bench.BackupAsync(Cancellation);
        Assert.DoesNotContain(manifest.Files, f => f.Path.Contains("T10Z.0.", StringComparison.Ordinal));
        Assert.Equal(bench.Books.Count, DataFolderBench.Samples(Path.Combine(bench.Target, "telemetry")).Count);
    }

    public static TheoryData<string, string> Damages()
    {
        var cases = new TheoryData<string, string>();
        foreach (var file in new[]
        {
            "backup.json", "state.sqlite", "telemetry/hot.duckdb", "telemetry/commits", "telemetry/sealed/2026-03-01T10Z.1.samples.parquet",
            "telemetry/sealed/2026-03-01T11Z.1.series.parquet", "telemetry/sealed/2026-03-01T11Z.json", "token", "keys/key-1.xml",
        })
        {
            foreach (var damage in new[] { "missing", "empty", "truncated", "garbled", "longer", "link" })
                cases.Add(file, damage);
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Damages))]
    public async Task A_backup_of_which_any_file_is_damaged_is_neither_verified_nor_restored(string name, string damage)
    {
        using var bench = new DataFolderBench().Fill();
        await bench.BackupAsync(Cancellation);
        var file = Path.Combine(bench.Target, name);
        var bytes = File.ReadAllBytes(file);
        switch (damage)
        {
            case "missing":
                File.Delete(file);
                break;
            case "empty":
                File.WriteAllBytes(file, []);
                break;
            case "truncated":
                File.WriteAllBytes(file, bytes[..^1]);
                break;
            case "garbled":
                bytes[bytes.Length / 2] ^= 0x20;
                File.WriteAllBytes(file, bytes);
                break;
            case "longer":
                File.WriteAllBytes(file, [.. bytes, name == "backup.json" ? (byte)'x' : (byte)0]);
                break;
            case "link":
                File.Move(file, Path.Combine(bench.Root, "elsewhere"));
                File.CreateSymbolicLink(file, Path.Combine(bench.Root, "elsewhere"));
                break;
        }

        Assert.Throws<BackupException>(() => Backup.Verify(bench.Target, _ => { }, Cancellation));
        var restored = Path.Combine(bench.Root, "restored");
        Assert.Throws<BackupException>(() => Restore.Run(bench.Target, restored, replace: false, bench.Time, _ => { }, Cancellation));
        Assert.False(Directory.Exists(restored));
        Assert.False(Directory.Exists(restored + Restore.Partial));
    }

    [Fact]
    public async Task A_file_that_is_no_part_of_the_backup_or_would_lie_outside_of_it_is_refused()
    {
        using var bench = new DataFolderBench();
        var manifest = await bench.BackupAsync(Cancellation);
        File.WriteAllText(Path.Combine(bench.Target, "telemetry", "sealed", "2026-03-01T09Z.samples.parquet"), "planted");
        Assert.Contains(
            "is not part of the backup", Assert.Throws<BackupException>(() => Backup.Verify(bench.Target, _ => { }, Cancellation)).Message,
            StringComparison.Ordinal);
        File.Delete(Path.Combine(bench.Target, "telemetry", "sealed", "2026-03-01T09Z.samples.parquet"));

        var escaping = manifest with { Files = [.. manifest.Files, new("../../planted", 1, new string('0', 64))] };
        File.WriteAllBytes(Path.Combine(bench.Target, "backup.json"), escaping.ToBytes());
        Assert.Contains(
            "../../planted is missing", Assert.Throws<BackupException>(() => Backup.Verify(bench.Target, _ => { }, Cancellation)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_backup_of_a_newer_format_is_refused_with_both_numbers_whatever_else_it_says()
    {
        using var bench = new DataFolderBench();
        await bench.BackupAsync(Cancellation);
        File.WriteAllText(Path.Combine(bench.Target, "backup.json"), """{ "format": 7, "files": "elsewhere" }""");
        var message = Assert.Throws<BackupException>(
            () => Restore.Run(bench.Target, Path.Combine(bench.Root, "restored"), false, bench.Time, _ => { }, Cancellation)).Message;
        Assert.Contains("has format 7; this program reads formats up to 1", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("state.sqlite")]
    [InlineData("telemetry/hot.duckdb")]
    [InlineData("telemetry/sealed/2026-03-01T10Z.1.samples.parquet")]
    public async Task A_database_that_cannot_be_opened_is_found_even_where_its_checksum_is_right(string name)
    {
        using var bench = new DataFolderBench().Fill();
        var manifest = await bench.BackupAsync(Cancellation);
        File.WriteAllBytes(Path.Combine(bench.Target, name), new byte[8192]);
        var files = manifest.Files.Select(f => f.Path == name ? FileCopy.Describe(bench.Target, name) : f).ToList();
        File.WriteAllBytes(Path.Combine(bench.Target, "backup.json"), (manifest with { Files = files }).ToBytes());
        Assert.Throws<BackupException>(() => Backup.Verify(bench.Target, _ => { }, Cancellation));
    }

    [Fact]
    public async Task A_backup_that_is_stopped_or_fails_leaves_nothing_that_looks_like_one()
    {
        using var bench = new DataFolderBench().Fill();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var copied = 0;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await bench.BackupAsync(
            _ =>
            {
                if (++copied == 3)
                    stop.Cancel();
            },
            stop.Token));
        Assert.Equal([bench.Data], Directory.GetFileSystemEntries(bench.Root));

        File.CreateSymbolicLink(Path.Combine(bench.Data, "keys", "key-2.xml"), "/etc/passwd");
        Assert.Contains(
            "key-2.xml is a link", (await Assert.ThrowsAsync<BackupException>(async () => await bench.BackupAsync(Cancellation))).Message,
            StringComparison.Ordinal);
        Assert.Equal([bench.Data], Directory.GetFileSystemEntries(bench.Root));
    }

    [Fact]
    public async Task What_a_killed_backup_left_is_no_backup_and_is_not_written_over()
    {
        using var bench = new DataFolderBench();
        Directory.CreateDirectory(bench.Target + Backup.Partial);
        Assert.Contains(
            "did not finish", (await Assert.ThrowsAsync<BackupException>(async () => await bench.BackupAsync(Cancellation))).Message,
            StringComparison.Ordinal);
        Assert.Contains(
            "is not a finished backup",
            Assert.Throws<BackupException>(() => Backup.Verify(bench.Target + Backup.Partial, _ => { }, Cancellation)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_will_not_do_is_refused_with_the_reason()
    {
        using var bench = new DataFolderBench();
        async Task<string> RefusalAsync(string folder) => (await Assert.ThrowsAsync<BackupException>(
            async () => await Backup.CreateAsync(bench.Source, folder, _ => { }, Cancellation))).Message;
        Assert.Contains("is not an absolute path", await RefusalAsync("backup"), StringComparison.Ordinal);
        Assert.Contains("inside of the data folder", await RefusalAsync(Path.Combine(bench.Data, "backup")), StringComparison.Ordinal);
        Assert.Contains("inside of the data folder", await RefusalAsync(bench.Root), StringComparison.Ordinal);
        Assert.Contains("does not exist", await RefusalAsync(Path.Combine(bench.Root, "no", "backup")), StringComparison.Ordinal);
        Directory.CreateSymbolicLink(Path.Combine(bench.Root, "link"), bench.Data);
        Assert.Contains(
            "inside of the data folder", await RefusalAsync(Path.Combine(bench.Root, "link", "backup")), StringComparison.Ordinal);
        var full = Directory.CreateDirectory(Path.Combine(bench.Root, "full")).FullName;
        File.WriteAllText(Path.Combine(full, "x"), "");
        Assert.Contains("is not empty", await RefusalAsync(full), StringComparison.Ordinal);
        Assert.Contains("is a file", await RefusalAsync(Path.Combine(full, "x")), StringComparison.Ordinal);
        await bench.BackupAsync(Cancellation);
        Assert.Contains(
            $"inside of the backup {bench.Target}", await RefusalAsync(Path.Combine(bench.Target, "sub")), StringComparison.Ordinal);
        Assert.Contains(
            $"inside of the backup {bench.Target}", await RefusalAsync(Path.Combine(bench.Target, "keys", "sub")),
            StringComparison.Ordinal);
        if (OperatingSystem.IsWindows())
            return;
        var open = Directory.CreateDirectory(Path.Combine(bench.Root, "open")).FullName;
        File.SetUnixFileMode(open, (UnixFileMode)0b111_111_111);
        Assert.Contains("can be written by others", await RefusalAsync(open), StringComparison.Ordinal);
        Assert.Contains("can be written by others", await RefusalAsync(Path.Combine(open, "backup")), StringComparison.Ordinal);
        // An empty folder of one's own is taken.
        File.SetUnixFileMode(open, (UnixFileMode)0b111_000_000);
        await Backup.CreateAsync(bench.Source, open, _ => { }, Cancellation);
        Backup.Verify(open, _ => { }, Cancellation);
    }

    [Fact]
    public async Task A_restore_is_refused_where_others_may_write_on_a_link_and_in_a_backup()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var bench = new DataFolderBench();
        await bench.BackupAsync(Cancellation);
        string Refusal(string folder, bool replace = false) =>
            Assert.Throws<BackupException>(() => Restore.Run(bench.Target, folder, replace, bench.Time, _ => { }, Cancellation)).Message;
        var open = Directory.CreateDirectory(Path.Combine(bench.Root, "open")).FullName;
        File.SetUnixFileMode(open, (UnixFileMode)0b111_111_111);
        Assert.Contains("can be written by others", Refusal(Path.Combine(open, "r")), StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(open));
        var (link, real) = (Path.Combine(bench.Root, "link"), Directory.CreateDirectory(Path.Combine(bench.Root, "real")).FullName);
        Directory.CreateSymbolicLink(link, real);
        Assert.Contains($"is a link to {real}", Refusal(link, replace: true), StringComparison.Ordinal);
        Assert.Equal(real, new FileInfo(link).LinkTarget);
        var other = Path.Combine(bench.Root, "other");
        await Backup.CreateAsync(bench.Source, other, _ => { }, Cancellation);
        Assert.Contains($"inside of the backup {other}", Refusal(Path.Combine(other, "r")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_restore_makes_a_whole_folder_with_a_mark_of_a_new_generation()
    {
        using var bench = new DataFolderBench().Fill();
        var manifest = await bench.BackupAsync(Cancellation);
        var restored = Path.Combine(bench.Root, "restored");
        var (same, aside) = Restore.Run(bench.Target, restored, replace: false, bench.Time, _ => { }, Cancellation);
        Assert.Equal((manifest.Checksum.Length, null), (same.Checksum.Length - 64, aside));
        Assert.All(manifest.Files, f => Assert.Equal(f, FileCopy.Describe(restored, f.Path)));
        Assert.Equal(bench.Books, DataFolderBench.Samples(Path.Combine(restored, "telemetry")).OrderBy(s => s.Key).ToDictionary());
        var mark = JsonNode.Parse(File.ReadAllText(Path.Combine(restored, "restored.json")))!;
        Assert.Equal((manifest.At, 8), (mark["backupAt"]!.GetValue<DateTimeOffset>(), mark["generation"]!.GetValue<string>().Length));
        Assert.False(Directory.Exists(Path.Combine(restored, "agent", "buffer")));
        Assert.Contains(
            "is not empty",
            Assert.Throws<BackupException>(() => Restore.Run(bench.Target, restored, false, bench.Time, _ => { }, Cancellation)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_folder_that_is_replaced_is_kept_aside_and_what_its_agent_remembers_stays()
    {
        using var bench = new DataFolderBench();
        await bench.BackupAsync(Cancellation);
        var old = Path.Combine(bench.Root, "old");
        Directory.CreateDirectory(Path.Combine(old, "agent", "buffer", "commands"));
        File.WriteAllText(Path.Combine(old, "agent", "buffer", "commands", "y.command"), "since the backup");
        File.WriteAllText(Path.Combine(old, "token"), "another");
        var (_, aside) = Restore.Run(bench.Target, old, replace: true, bench.Time, _ => { }, Cancellation);
        Assert.Equal("another", File.ReadAllText(Path.Combine(aside!, "token")));
        Assert.Equal("wsa_secret", File.ReadAllText(Path.Combine(old, "token")));
        Assert.Equal("since the backup", File.ReadAllText(Path.Combine(old, "agent", "buffer", "commands", "y.command")));
        Assert.False(File.Exists(Path.Combine(old, "agent", "buffer", "commands", "x.command")));
    }

    [Fact]
    public async Task Nobody_else_has_a_folder_from_the_first_look_of_a_restore_to_its_end()
    {
        using var bench = new DataFolderBench();
        await bench.BackupAsync(Cancellation);
        foreach (var (name, replace) in new[] { ("old", true), ("new", false) })
        {
            var folder = Path.Combine(bench.Root, name);
            if (replace)
                File.WriteAllText(Path.Combine(Directory.CreateDirectory(folder).FullName, "token"), "another");
            var looks = 0;
            Restore.Run(bench.Target, folder, replace, bench.Time, progress =>
            {
                looks++;
                // A server would wait for its end.
                Assert.StartsWith(
                    "whistle backup restore (process ",
                    Assert.Throws<FolderInUseException>(() => ServerLock.Take(folder, "whistle data check")).By, StringComparison.Ordinal);
            }, Cancellation);
            Assert.InRange(looks, 2, int.MaxValue);
            ServerLock.TakeForServer(folder).Dispose();
            Assert.Equal("wsa_secret", File.ReadAllText(Path.Combine(folder, "token")));
        }
    }

    [Fact]
    public async Task A_restore_that_fails_leaves_no_folder_where_there_was_none()
    {
        using var bench = new DataFolderBench();
        await bench.BackupAsync(Cancellation);
        File.Delete(Path.Combine(bench.Target, "token"));
        var before = Directory.GetFileSystemEntries(bench.Root);
        Assert.Throws<BackupException>(
            () => Restore.Run(bench.Target, Path.Combine(bench.Root, "restored"), false, bench.Time, _ => { }, Cancellation));
        Assert.Equal(before, Directory.GetFileSystemEntries(bench.Root));
    }

    [Fact]
    public async Task While_a_server_has_the_lock_its_folder_is_not_restored_and_a_backup_leaves_the_lock_out()
    {
        using var bench = new DataFolderBench();
        using (ServerLock.TakeForServer(bench.Data))
        {
            Assert.DoesNotContain((await bench.BackupAsync(Cancellation)).Files, f => f.Path == ServerLock.FileName);
            var refusal = Assert.Throws<BackupException>(
                () => Restore.Run(bench.Target, bench.Data, true, bench.Time, _ => { }, Cancellation)).Message;
            Assert.Contains("whistle serve (process ", refusal, StringComparison.Ordinal);
        }
    }
}
