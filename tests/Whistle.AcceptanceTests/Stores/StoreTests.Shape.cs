using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

public abstract partial class StoreTests
{
    [Theory]
    [InlineData("DROP TABLE kill_switch", "the table kill_switch is missing")]
    [InlineData("ALTER TABLE pauses DROP COLUMN reason", "the column reason of pauses is missing")]
    [InlineData("DROP INDEX alerting_tickets_incident", "the index alerting_tickets_incident is missing")]
    [InlineData("DELETE FROM migrations WHERE stage = 'control'", "is there, but the table migrations does not have the migration that made it")]
    public void What_was_dropped_is_refused_at_the_start(string sql, string why)
    {
        Database.Upgrade(StateStages.All, _ => { });
        Database.Upgrade(StateStages.All, _ => { });
        Database.RequireCurrent(StateStages.All);
        using (var connection = Database.Open())
            connection.Script(sql);

        Assert.Contains(why, Assert.Throws<StateException>(() => Database.Upgrade(StateStages.All, _ => { })).Message, StringComparison.Ordinal);
        Assert.Contains(why, Assert.Throws<StateException>(() => Database.RequireCurrent(StateStages.All)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_table_that_is_dropped_while_it_is_used_is_trouble_of_the_state()
    {
        var control = Stores().Control;
        using (var connection = Database.Open())
            connection.Script("DROP TABLE control_timeline");

        Assert.Contains("control_timeline", Assert.Throws<StateException>(() => control.Timeline(1)).Message, StringComparison.Ordinal);
    }
}
