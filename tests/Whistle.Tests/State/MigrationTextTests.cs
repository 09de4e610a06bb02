using Whistle.Data;

using Xunit;

namespace Whistle.Tests.State;

/// <summary>
/// A database keeps the checksum of each migration that made it, and a server whose migrations read otherwise refuses to start on it. So
/// the text of a released migration never changes: a line here may be added, never edited.
/// </summary>
public sealed class MigrationTextTests
{
    const string Released =
        """
        """;

    [Fact]
    public void The_text_of_a_released_migration_never_changes() => Assert.Equal(
        Released.ReplaceLineEndings("\n").Split('\n'),
        StateStages.All.SelectMany(s => s.Scripts.Select((script, number) => $"{s.Stage} {number} {script.Checksum}")));
}
