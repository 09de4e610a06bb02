using System.Text;

using CsCheck;

using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Agent.Buffering;
using Whistle.Agent.Settings;

using Xunit;

namespace Whistle.Tests.Agent;

public sealed class ReportBufferTests : IDisposable
{
    static readonly string[] Three = ["first", "second one", "3"];

    readonly HostFixture _disk = new();
    readonly FakeTimeProvider _time = new(DateTimeOffset.FromUnixTimeSeconds(1_800_000_000));

    public void Dispose() => _disk.Dispose();

    [Fact]
    public void Reports_come_back_oldest_first_and_survive_a_restart()
    {
        using (var buffer = Open())
            Append(buffer, "one", "two", "three");

        using (var buffer = Open())
        {
            Assert.Equal(3, buffer.Count);
            buffer.Remove(buffer.Peek()!);
            Append(buffer, "four");
            Assert.Equal(["two", "three", "four"], Drain(buffer));
            Assert.Equal(0, buffer.Bytes);
        }

        using var empty = Open();
        Assert.Null(empty.Peek());
    }

    [Fact]
    public void A_file_cut_at_any_byte_keeps_every_whole_report_and_takes_new_ones()
    {
        var file = Path.Join(_disk.Folder, $"{0:D20}.reports");
        var ends = new List<long> { 0 };
        using (var buffer = Open())
        {
            foreach (var report in Three)
            {
                Append(buffer, report);
                ends.Add(new FileInfo(file).Length);
            }
        }

        var whole = File.ReadAllBytes(file);
        for (var cut = 0; cut <= whole.Length; cut++)
        {
            File.WriteAllBytes(file, whole[..cut]);
            using var buffer = Open();
            Append(buffer, "after");
            string[] kept = [.. Three.Take(ends.Count(end => end <= cut) - 1), "after"];
            Assert.Equal(kept, Drain(buffer));
            Directory.EnumerateFiles(_disk.Folder, "*.reports").ToList().ForEach(File.Delete);
        }
    }

    [Fact]
    public void A_flipped_bit_anywhere_never_yields_a_wrong_report()
    {
        var file = Path.Join(_disk.Folder, $"{0:D20}.reports");
        int firstFrame;
        using (var buffer = Open())
        {
            Append(buffer, "first");
            firstFrame = (int)buffer.Bytes;
            Append(buffer, "second");
        }

        var whole = File.ReadAllBytes(file);
        for (var bit = 0; bit < whole.Length * 8; bit++)
        {
            var damaged = whole.ToArray();
            damaged[bit / 8] ^= (byte)(1 << bit % 8);
            File.WriteAllBytes(file, damaged);
            using var buffer = Open();
            Assert.Equal(bit < firstFrame * 8 ? [] : ["first"], Drain(buffer));
        }
    }

    [Fact]
    public void Whatever_is_done_in_whatever_order_nothing_appended_is_lost_and_only_removed_reports_repeat()
    {
        // 0–5 append that many times 3,000 bytes (together less than the bound, over several
        // segments), 6–8 acknowledge one, 9 kill and restart.
        Gen.Int[0, 9].Array[0, 60].Sample(
            steps =>
            {
                using var disk = new HostFixture();
                var buffer = new ReportBuffer(Options(disk.Folder) with { MaxBytes = 1 << 20 }, _time, NullLogger.Instance);
                var appended = new List<string>();
                var acknowledged = 0;
                foreach (var step in steps.Append(9))
                {
                    if (step <= 5)
                        Append(buffer, Add(appended, $"{appended.Count}".PadRight(step * 3_000, '.')));
                    else if (step <= 8 && buffer.Peek() is { } report)
                    {
                        acknowledged = Math.Max(acknowledged, appended.IndexOf(Text(report)) + 1);
                        buffer.Remove(report);
                    }
                    else if (step == 9)
                    {
                        buffer.Dispose();
                        buffer = new ReportBuffer(Options(disk.Folder) with { MaxBytes = 1 << 20 }, _time, NullLogger.Instance);
                    }
                }

                var rest = Drain(buffer);
                buffer.Dispose();
                return rest.Length >= appended.Count - acknowledged && rest.SequenceEqual(appended.TakeLast(rest.Length));
            },
            iter: 200);
    }

    [Fact]
    public void Past_its_size_the_buffer_drops_the_oldest_and_counts_their_samples()
    {
        using var buffer = new ReportBuffer(Options(_disk.Folder) with { MaxBytes = 10_000 }, _time, NullLogger.Instance);
        for (var i = 0; i < 30; i++)
            Append(buffer, $"{i}".PadRight(1000));

        var kept = Drain(buffer).Select(text => text.Trim()).ToArray();
        Assert.Equal("29", kept[^1]);
        Assert.InRange(kept.Length, 7, 9);
        Assert.Equal(Enumerable.Range(30 - kept.Length, kept.Length).Select(i => $"{i}"), kept);
        Assert.Equal(5 * (30 - kept.Length), buffer.Dropped(DropReason.BufferFull));
    }

    [Fact]
    public void What_is_older_than_a_day_is_dropped()
    {
        using var buffer = Open();
        Append(buffer, "old");
        _time.Advance(TimeSpan.FromHours(1));
        Append(buffer, "young");
        _time.Advance(TimeSpan.FromHours(23.5));

        Assert.Equal(["young"], Drain(buffer));
        Assert.Equal(5, buffer.Dropped(DropReason.TooOld));
    }

    [Fact]
    public void Without_a_disk_the_newest_reports_wait_in_memory_and_reach_the_disk_when_it_is_back()
    {
        // A file where the folder should be fails as a full or broken disk does.
        var folder = Path.Join(_disk.Folder, "buffer");
        File.WriteAllText(folder, "");
        using (var buffer = new ReportBuffer(Options(folder) with { MaxMemoryBytes = 30 }, _time, NullLogger.Instance))
        {
            Append(buffer, "1234567890", "2345678901", "3456789012", "4567890123");
            Assert.Equal(5, buffer.Dropped(DropReason.MemoryFull));
            Assert.Equal("2345678901", Text(buffer.Peek()!));

            File.Delete(folder);
            Append(buffer, "five");
        }

        using var restarted = new ReportBuffer(Options(folder), _time, NullLogger.Instance);
        Assert.Equal(["2345678901", "3456789012", "4567890123", "five"], Drain(restarted));
    }

    [Fact]
    public void A_second_agent_on_the_same_folder_is_told_so()
    {
        using var first = Open();
        var error = Assert.Throws<InvalidOperationException>(Open);
        Assert.Contains("--buffer", error.Message, StringComparison.Ordinal);
    }

    ReportBuffer Open() => new(Options(_disk.Folder), _time, NullLogger.Instance);

    static BufferOptions Options(string folder) => new() { Folder = folder };

    static string Add(List<string> list, string text)
    {
        list.Add(text);
        return text;
    }

    void Append(ReportBuffer buffer, params string[] reports)
    {
        foreach (var report in reports)
            buffer.Append(_time.GetUtcNow().ToUnixTimeMilliseconds(), 5, Encoding.UTF8.GetBytes(report.Length == 0 ? " " : report));
    }

    static string[] Drain(ReportBuffer buffer)
    {
        var reports = new List<string>();
        while (buffer.Peek() is { } report)
        {
            reports.Add(Text(report));
            buffer.Remove(report);
        }

        return [.. reports];
    }

    static string Text(BufferedReport report) => Encoding.UTF8.GetString(report.Payload);
}
