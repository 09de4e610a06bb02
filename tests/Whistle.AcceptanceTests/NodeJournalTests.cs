using System.Diagnostics;
using System.Text.Json;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Actions.Units;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>What actions ask the journal, asked of the real journalctl about what a real journald wrote.</summary>
public sealed class NodeJournalTests : IAsyncLifetime
{
    const string Started = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf";
    const string Failed = "MESSAGE_ID=be02cf6855d2428ba40df7e9d022f03d";
    const string Stopped = "MESSAGE_ID=9d1aaa27d60140bd96365438aad20286";

    readonly string _programs = Directory.CreateTempSubdirectory("whistle-programs").FullName;
    PrivateJournald _journald = null!;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    static DateTimeOffset Now => TimeProvider.System.GetUtcNow();

    public async ValueTask InitializeAsync()
    {
        _journald = await PrivateJournald.StartAsync(Cancellation);
        // The test stands for the first process, whose entries nobody else can write. Another process writes the file: see ActionFixture.
        var source = Path.Join(_programs, "source");
        await File.WriteAllTextAsync(source, $"#!/bin/sh\nfor a; do shift; [ \"$a\" = _PID=1 ] && a=_PID={Environment.ProcessId}; "
            + $"set -- \"$@\" \"$a\"; done\nexec /usr/bin/journalctl --directory={_journald.Persistent} \"$@\"\n");
        using var install = Process.Start("install", ["-m", "0755", source, Path.Join(_programs, "journalctl")]);
        await install.WaitForExitAsync(Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        if (_journald is not null)
            await _journald.DisposeAsync();
        Directory.Delete(_programs, recursive: true);
    }

    [Fact]
    public async Task Starts_are_counted_by_unit_and_time_whether_they_succeeded_or_not()
    {
        foreach (var (unit, id) in ((string, string)[])
        [
            ("kubelet", Started), ("kubelet", Failed), ("kubelet", Started), ("kubelet", Stopped), ("etcd", Started),
        ])
            _journald.LogFields($"MESSAGE=A start job for unit {unit}.service has finished.", $"UNIT={unit}.service", id, "PRIORITY=6");
        await _journald.JournalctlAsync("--sync");

        Assert.Equal((3, null), await SystemUnit.StartsSinceAsync(Context(), "kubelet.service", Now.AddMinutes(-20), Cancellation));
        Assert.Equal((0, null), await SystemUnit.StartsSinceAsync(Context(), "chrony.service", Now.AddMinutes(-20), Cancellation));
        Assert.Equal((0, null), await SystemUnit.StartsSinceAsync(Context(), "kubelet.service", Now.AddMinutes(20), Cancellation));
    }

    [Fact]
    public async Task The_journal_of_the_last_minutes_is_captured_without_its_secrets()
    {
        _journald.LogFields("MESSAGE=PLEG is not healthy: pleg was last seen active 3m10s ago", "SYSLOG_IDENTIFIER=kubelet", "PRIORITY=3");
        _journald.LogFields("MESSAGE=dial https://admin:hunter2@10.0.0.1:6443 failed", "SYSLOG_IDENTIFIER=kubelet", "PRIORITY=3");
        await _journald.JournalctlAsync("--sync");

        var report = await NodeActions.All.Single(a => a.Descriptor.Name == "diagnostics.capture")
            .RunAsync(default(JsonElement), Context(), Cancellation);
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        var journal = report.Output!.Value.GetProperty("parts").EnumerateArray()
            .Single(p => p.GetProperty("name").GetString() == "journal");
        var text = journal.GetProperty("text").GetString();
        Assert.Matches(@"\d{4}-\d\d-\d\dT[^ ]+ [^ ]+ kubelet\[\d+\]: PLEG is not healthy", text);
        Assert.Contains("dial https://[redacted]@10.0.0.1:6443 failed", text, StringComparison.Ordinal);
        Assert.False(journal.TryGetProperty("missing", out _));
        Assert.InRange(JsonSerializer.SerializeToUtf8Bytes(report.Output.Value).Length, 1000, 256 << 10);
    }

    ActionContext Context() => new()
    {
        DryRun = false,
        Guard = MutationGuard.Closed(TimeProvider.System),
        Time = TimeProvider.System,
        ProgramFolders = [_programs, "/usr/bin", "/bin"],
    };
}
