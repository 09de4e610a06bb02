using Whistle.Data;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests;

public abstract partial class StoreTests
{
    [Theory]
    [InlineData("DROP TABLE kill_switch", "the table kill_switch is missing")]
    [InlineData("ALTER TABLE pauses DROP COLUMN reason", "the column reason of pauses is missing")]
    [InlineData("DROP INDEX alerting_tickets_incident", "the index alerting_tickets_incident is missing")]
    [InlineData(
        "DELETE FROM migrations WHERE stage = 'control'", "is there, but the table migrations does not have the migration that made it")]
    public async Task What_was_dropped_is_refused_at_the_start(string sql, string why)
    {
        await Database.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
        await Database.UpgradeAsync(StateStages.All, _ => { }, Cancellation);
        await Database.RequireCurrentAsync(StateStages.All, Cancellation);
        await using (var connection = await Database.OpenAsync(Cancellation))
            await connection.RunScriptAsync(sql, Cancellation);

        var upgrade = await Assert.ThrowsAsync<StateException>(() => Database.UpgradeAsync(StateStages.All, _ => { }, Cancellation));
        Assert.Contains(why, upgrade.Message, StringComparison.Ordinal);
        var current = await Assert.ThrowsAsync<StateException>(() => Database.RequireCurrentAsync(StateStages.All, Cancellation));
        Assert.Contains(why, current.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_table_that_is_dropped_while_it_is_used_is_trouble_of_the_state()
    {
        var control = (await StoresAsync()).Control;
        await using (var connection = await Database.OpenAsync(Cancellation))
            await connection.RunScriptAsync("DROP TABLE control_timeline", Cancellation);

        var error = await Assert.ThrowsAsync<StateException>(async () => await control.TimelineAsync(1, Cancellation));
        Assert.Contains("control_timeline", error.Message, StringComparison.Ordinal);
    }
}
