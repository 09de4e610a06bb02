using System.Text.Json.Nodes;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Detectors.Http;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.State;

using Xunit;

namespace Whistle.Tests.Audit;

public sealed class ActAuditTests : IDisposable
{
    static readonly ClusterId A = new("t", "a");
    static readonly ClusterId B = new("t", "b");
    static readonly ClusterId Other = new("u", "a");

    readonly StateDatabase _state = StateDatabase.InMemory();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _state.Dispose();

    [Theory]
    [InlineData("""{"name":"ann","password":"x"}""", """{"name":"ann","password":"(hidden)"}""")]
    [InlineData("""{"newPassword":"x","totpCode":"1","recoveryCodes":["a","b"]}""",
        """{"newPassword":"(hidden)","totpCode":"(hidden)","recoveryCodes":"(hidden)"}""")]
    [InlineData("""{"keys":{"clientSecret":"x"},"deep":{"list":[{"apiToken":"x","n":1}]}}""",
        """{"keys":"(hidden)","deep":{"list":[{"apiToken":"(hidden)","n":1}]}}""")]
    [InlineData("""{"node":null,"reason":"é <b>"}""", """{"reason":"é <b>"}""")]
    [InlineData("""{"node":null}""", "")]
    public void What_may_be_a_secret_is_hidden(string given, string written) =>
        Assert.Equal(written, ActAudit.Text(JsonNode.Parse(given)!.AsObject()));

    [Fact]
    public async Task An_act_is_about_what_was_required_and_else_about_what_was_seen()
    {
        var caller = await CallerAsync();
        Assert.Equal(AccessScope.All, caller.Concerned);
        Assert.Equal([AccessScope.All], caller.ReadOf);
        caller.Sees(A);
        Assert.Equal(AccessScope.Of(A), caller.Concerned);
        caller.Sees(B);
        Assert.Equal(AccessScope.Of("t"), caller.Concerned);
        caller.Sees(Other);
        Assert.Equal(AccessScope.All, caller.Concerned);
        Assert.Equal([AccessScope.Of("t"), AccessScope.Of("u")], caller.ReadOf.OrderBy(s => s.Tenant));
        await caller.RequireAsync(Permission.Operate, B);
        Assert.Equal(AccessScope.Of(B), caller.Concerned);

        var many = await CallerAsync();
        for (var i = 0; i < 1_000; i++)
            many.Sees(new($"t{i}", "c"));
        Assert.Equal([AccessScope.All], many.ReadOf);
    }

    [Fact]
    public async Task What_is_only_noted_beside_an_act_does_not_take_its_entry_along()
    {
        var log = new AuditLog(_state, TimeProvider.System);
        await ExecuteAsync("CREATE TABLE deeds (name TEXT NOT NULL)");
        await log.RecordAsync(new AuditAct(new("ann", "person:1", ""), "do"), async () =>
        {
            await AuditAct.AsideAsync(() => ExecuteAsync("INSERT INTO deeds (name) VALUES ('seen')"));
            Assert.Empty(await log.ListAsync(new(), 10, Cancellation));
            await ExecuteAsync("INSERT INTO deeds (name) VALUES ('done')");
            Assert.Single(await log.ListAsync(new(), 10, Cancellation));
            return true;
        });
        Assert.Single(await log.ListAsync(new(), 10, Cancellation));
    }

    async Task ExecuteAsync(string sql)
    {
        await using var connection = await _state.OpenAsync(Cancellation);
        await connection.ExecuteAsync(sql, Cancellation);
    }

    static async Task<Caller> CallerAsync()
    {
        var services = LocalCaller.Builder().Services;
        services.AddLogging();
        return await services.BuildServiceProvider().GetRequiredService<Guard>().OfAsync(LocalCaller.User, null, Cancellation);
    }
}
