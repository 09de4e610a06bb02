using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

using Whistle.Printing;

using Xunit;

namespace Whistle.Tests.Commands;

/// <summary>The server's log.</summary>
public sealed class LineFormatterTests
{
    [Theory]
    [InlineData("two\nlines", "two lines")]
    [InlineData("two\r2026-01-01T00:00:00Z info: of another", "two 2026-01-01T00:00:00Z info: of another")]
    [InlineData("two\u2028lines\u0085more", "two lines more")]
    [InlineData("\u001b[2J\u001b[31mred", "\\u001b[2J\\u001b[31mred")]
    [InlineData("\u202egnp.exe", "\\u202egnp.exe")]
    [InlineData("\u0000\u0008", "\\u0000\\u0008")]
    [InlineData("Grüße, 東京 🙂", "Grüße, 東京 🙂")]
    public void What_somebody_says_begins_no_line_and_moves_no_cursor(string said, string shown)
    {
        Assert.EndsWith($"Z warn: here[7] It says {shown}\n", Written($"It says {said}", null), StringComparison.Ordinal);
        var failed = Written("It failed.", new InvalidOperationException(said));
        Assert.Equal(failed.Length - 1, failed.IndexOf('\n', StringComparison.Ordinal));
        Assert.EndsWith($"It failed. System.InvalidOperationException: {shown}\n", failed, StringComparison.Ordinal);
    }

    static string Written(string text, Exception? exception)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        new LineFormatter().Write(
            new LogEntry<string>(LogLevel.Warning, "here", new EventId(7), text, exception, (state, _) => state), null, writer);
        return writer.ToString();
    }
}
