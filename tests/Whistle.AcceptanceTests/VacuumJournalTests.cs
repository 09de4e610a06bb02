using System.Text.Json;

using Microsoft.Extensions.Time.Testing;

using Whistle.Actions.Contract;
using Whistle.Actions.Files;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>The action on files that a real journald wrote and archived, read back with the real journalctl.</summary>
public sealed class VacuumJournalTests : IAsyncLifetime
{
    readonly string _base = Directory.CreateTempSubdirectory("whistle-vacuum").FullName;
    readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow().AddDays(30));
    PrivateJournald _journald = null!;
    Func<BeginAnswer> _begin = () => new BeginAnswer(true, 10, null);
    Action<string>? _betweenLookAndAct;
    int _begins;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    string PolicyFile => Path.Join(_base, "policy.json");

    public async ValueTask InitializeAsync()
    {
        _journald = await PrivateJournald.StartAsync(Cancellation);
        var random = Seed.New();
        for (var round = 0; round < 4; round++)
        {
            _journald.Log($"round {round}", 300, random);
            if (round == 1)
                await _journald.LogAsUserAsync("from a user");
            await _journald.RotateAsync(Cancellation);
        }

        _journald.Log("active", 50, random);
        await _journald.JournalctlAsync("--sync");
    }

    public async ValueTask DisposeAsync()
    {
        if (_journald is not null)
            await _journald.DisposeAsync();
        Directory.Delete(_base, recursive: true);
    }

    [Fact]
    public async Task A_dry_run_names_the_files_and_bytes_that_the_run_then_deletes_and_the_journal_stays_whole()
    {
        var before = Sizes();
        var kept = await NewestAsync(2);
        Policy($$"""{ "keepBytes": {{kept.Sum(f => before[f])}} }""");

        var said = await RunAsync(dryRun: true);
        Assert.Equal(before, Sizes());
        Assert.Equal(0, _begins);
        var done = await RunAsync();

        var after = Sizes();
        var gone = before.Keys.Except(after.Keys).ToList();
        Assert.Equal(
            before.Keys.Where(f => f.Contains('@', StringComparison.Ordinal)).Except(kept).Order(StringComparer.Ordinal),
            gone.Order(StringComparer.Ordinal));
        Assert.Contains(gone, f => Path.GetFileName(f).StartsWith("user-1000@", StringComparison.Ordinal));
        foreach (var report in new[] { said, done })
        {
            Assert.Equal(CommandOutcome.Succeeded, report.Outcome);
            var output = report.Output!.Value;
            Assert.Equal(
                gone.Order(StringComparer.Ordinal),
                output.GetProperty("examples").EnumerateArray().Select(e => e.GetString()).Order(StringComparer.Ordinal));
            Assert.Equal(gone.Sum(f => before[f]), output.GetProperty("bytes").GetInt64());
            Assert.Equal(kept.Sum(f => before[f]), output.GetProperty("archivedAfter").GetInt64());
        }

        Assert.DoesNotContain("FAIL", await _journald.JournalctlAsync("--verify"), StringComparison.Ordinal);
        var lines = await _journald.JournalctlAsync("-o", "cat");
        Assert.DoesNotContain("round 1 ", lines, StringComparison.Ordinal);
        Assert.Contains("round 2 0 ", lines, StringComparison.Ordinal);
        Assert.Contains("active 49 ", lines, StringComparison.Ordinal);
        _journald.Log("and it goes on", 1, new Random(1));
        await _journald.JournalctlAsync("--sync");
        Assert.Contains("and it goes on", await _journald.JournalctlAsync("-n", "1", "-o", "cat"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task So_many_bytes_stay_even_where_the_last_file_would_break_the_limit_only_in_part()
    {
        var before = Sizes();
        var newest = await NewestAsync(2);
        Policy($$"""{ "keepBytes": {{before[newest[0]] + 1}} }""");
        await RunAsync("""{ "maximumBytes": 0 }""");
        Assert.Equal(newest.Order(StringComparer.Ordinal), _journald.Archived);
    }

    [Fact]
    public async Task A_file_with_one_entry_that_is_young_enough_stays_though_its_first_is_too_old()
    {
        var files = await NewestAsync(int.MaxValue);
        var (first, last) = await _journald.EntriesAsync(files[1]);
        Assert.True(first < last);
        Policy("""{ "keepAge": "60d" }""");
        // The oldest entry that must stay lies between the first and the last of the second newest file.
        _time.SetUtcNow(DateTimeOffset.UnixEpoch.AddMicroseconds(last).AddDays(60).AddMicroseconds(-1));
        Assert.Equal(CommandOutcome.Succeeded, (await RunAsync("""{ "maximumAge": "1s" }""")).Outcome);
        Assert.Equal(files[..2].Order(StringComparer.Ordinal), _journald.Archived);

        _time.Advance(TimeSpan.FromMicroseconds(2));
        await RunAsync();
        Assert.Equal(files[..1], _journald.Archived);
    }

    [Fact]
    public async Task Parameters_can_only_narrow_what_the_policy_allows()
    {
        var before = Sizes();
        var files = await NewestAsync(int.MaxValue);
        Policy("""{ "keepBytes": 1 }""");
        await RunAsync($$"""{ "maximumBytes": {{files.Sum(f => before[f])}} }""");
        Assert.Equal(before, Sizes());
        await RunAsync("""{ "maximumAge": "60d" }""");
        Assert.Equal(before, Sizes());
        await RunAsync($$"""{ "maximumBytes": {{files.Sum(f => before[f]) - 1}} }""");
        Assert.Equal(files[..^1].Order(StringComparer.Ordinal), _journald.Archived);
    }

    [Fact]
    public async Task What_was_torn_goes_as_well_and_other_machines_and_namespaces_stay()
    {
        await _journald.KillWhileItWritesAsync(Cancellation);
        await _journald.RestartAsync(Cancellation);
        Assert.Contains(_journald.Archived, f => f.EndsWith(".journal~", StringComparison.Ordinal));
        string[] others = ["remote", new string('a', 32), $"{PrivateJournald.MachineId}.app"];
        foreach (var other in others.Select(o => Directory.CreateDirectory(Path.Join(_journald.Persistent, o)).FullName))
            File.Copy(_journald.Archived.First(), Path.Join(other, Path.GetFileName(_journald.Archived.First())));
        Policy("""{ "keepAge": "1s" }""");
        await RunAsync();
        Assert.Empty(_journald.Archived);
        Assert.All(others, o => Assert.Single(Directory.GetFiles(Path.Join(_journald.Persistent, o))));
        Assert.NotEmpty(_journald.Files);
        Assert.DoesNotContain("FAIL", await _journald.JournalctlAsync("--verify"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_reader_holds_open_is_freed_all_the_same()
    {
        Policy("""{ "keepAge": "1s" }""");
        using var reader = File.Open(_journald.Archived.First(), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        await RunAsync();
        Assert.Equal(0, Native.Stat((int)reader.SafeFileHandle.DangerousGetHandle(), out var stat));
        Assert.Equal((0u, 0L), (stat.Links, stat.Allocated));
        Assert.True(stat.Length > 0);
    }

    [Fact]
    public async Task A_file_that_was_replaced_by_a_link_or_given_another_name_meanwhile_stays()
    {
        var outside = Path.Join(_base, "treasure");
        File.WriteAllText(outside, "gold");
        var files = (await NewestAsync(int.MaxValue)).AsEnumerable().Reverse().ToList();
        Policy("""{ "keepAge": "1s" }""");
        _betweenLookAndAct = path =>
        {
            if (path == files[0])
            {
                File.Delete(path);
                File.CreateSymbolicLink(path, outside);
            }
            else if (path == files[1])
            {
                File.Move(path, path + ".kept");
                File.WriteAllText(path, "another");
            }
        };
        Assert.Equal(files.Count - 2, (await RunAsync()).Output!.Value.GetProperty("files").GetInt64());
        Assert.Equal(
            [files[0], files[1], files[1] + ".kept"], _journald.Archived.OrderBy(f => files.FindIndex(f.StartsWith)).ThenBy(f => f.Length));
        Assert.Equal("gold", File.ReadAllText(outside));
        Assert.Equal("another", File.ReadAllText(files[1]));
    }

    [Fact]
    public async Task What_journald_archives_during_the_run_stays()
    {
        var planned = _journald.Archived.ToList();
        Policy("""{ "keepAge": "1s" }""");
        _betweenLookAndAct = path =>
        {
            if (path == planned[0])
                _journald.RotateAsync(Cancellation).GetAwaiter().GetResult();
        };
        Assert.Equal(planned.Count, (await RunAsync()).Output!.Value.GetProperty("files").GetInt64());
        Assert.Contains(
            "active 49 ", await _journald.JournalctlAsync("--file", Assert.Single(_journald.Archived), "-o", "cat"),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_rule_a_permit_or_the_right_mount_nothing_is_touched_and_the_reason_is_said()
    {
        var before = Sizes();
        File.WriteAllText(PolicyFile, "{}");
        var noRule = await RunAsync();
        Policy("{}");
        var keepsNothing = await RunAsync();
        Policy("""{ "keepAge": "1s" }""");
        var otherMount = await RunAsync("""{ "mountPoint": "/proc" }""");
        var badAge = await RunAsync("""{ "maximumAge": "soon" }""");
        _begin = () => new BeginAnswer(false, 0, "The kill switch is on.");
        var noPermit = await RunAsync();
        _begin = () =>
        {
            File.WriteAllText(PolicyFile, "{}");
            return new BeginAnswer(true, 10, null);
        };
        var revoked = await RunAsync();
        _begin = () =>
        {
            Policy("""{ "keepAge": "1s", "keepBytes": 1 }""");
            return new BeginAnswer(true, 10, null);
        };
        Policy("""{ "keepAge": "1s" }""");
        var changed = await RunAsync();

        Assert.All(
            [
                (noRule, "vacuumJournal"), (keepsNothing, "keepBytes"), (otherMount, "/proc"), (badAge, "7d"), (noPermit, "kill switch"),
                (revoked, "vacuumJournal"), (changed, "changed during"),
            ],
            r => Assert.Contains(r.Item2, Refused(r.Item1).Summary, StringComparison.Ordinal));
        Assert.Equal(before, Sizes());
    }

    [Fact]
    public async Task On_the_mount_that_holds_it_the_journal_is_vacuumed()
    {
        Policy("""{ "keepAge": "1s" }""");
        await RunAsync($$"""{ "mountPoint": "{{_journald.Persistent}}" }""");
        Assert.Empty(_journald.Archived);
    }

    [Fact]
    public async Task When_the_time_is_over_it_ends_after_the_file_it_is_at()
    {
        var before = Sizes();
        Policy("""{ "keepAge": "1s" }""");
        using var limit = new CancellationTokenSource();
        _betweenLookAndAct = _ => limit.Cancel();
        var partly = await RunAsync(cancellation: limit.Token);
        Assert.Equal(CommandOutcome.Failed, partly.Outcome);
        Assert.Equal(1, partly.Output!.Value.GetProperty("files").GetInt64());
        Assert.Equal(before.Count - 1, Sizes().Count);
        Refused(await RunAsync(cancellation: limit.Token));
        Assert.Equal(before.Count - 1, Sizes().Count);
    }

    static ActionReport Refused(ActionReport report)
    {
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        return report;
    }

    void Policy(string rule) => File.WriteAllText(PolicyFile, $$"""{ "vacuumJournal": {{rule}} }""");

    Dictionary<string, long> Sizes() => _journald.Files.ToDictionary(f => f, f =>
    {
        Assert.Equal(0, Native.StatFollowing(f, out var stat));
        return stat.Allocated;
    });

    /// <summary>The archived files by their last entry as journalctl reads it, newest first.</summary>
    async Task<List<string>> NewestAsync(int count)
    {
        var files = new List<(string Path, long Last)>();
        foreach (var file in _journald.Archived)
            files.Add((file, (await _journald.EntriesAsync(file)).Last));
        return [.. files.OrderByDescending(f => f.Last).Take(count).Select(f => f.Path)];
    }

    async Task<ActionReport> RunAsync(string parameters = "{}", bool dryRun = false, CancellationToken cancellation = default)
    {
        using var json = JsonDocument.Parse(parameters);
        var context = new ActionContext
        {
            DryRun = dryRun,
            Guard = new MutationGuard(_time, _ => ValueTask.FromResult(Begin()), _ => ValueTask.FromResult<string?>(null)),
            Time = _time,
            PolicyFile = PolicyFile,
            JournalFolders = [_journald.Persistent, _journald.Volatile],
            MachineIdFile = _journald.MachineIdFile,
            BetweenLookAndAct = _betweenLookAndAct,
        };
        return await NodeActions.All.Single(a => a.Descriptor.Name == "disk.vacuum-journal")
            .RunAsync(json.RootElement, context, cancellation);
    }

    BeginAnswer Begin()
    {
        _begins++;
        return _begin();
    }
}
