using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

using Whistle.Actions.Files;
using Whistle.Agent;
using Whistle.Agent.Settings;
using Whistle.Health;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.State;
using Whistle.State.Health;
using Whistle.Telemetry;
using Whistle.Web.Acts;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Tenants, clusters and nodes as things of their own, with the agent that the server ships.</summary>
public sealed class TenantTests : IAsyncLifetime
{
    const string Root = "api/whistle/v1";

    static readonly string[] Contacts = ["ann"];

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-tenants").FullName;
    readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    InProcessServer _server = null!;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    string TokenFile => Path.Join(_folder, "agent.token");

    public async ValueTask InitializeAsync()
    {
        var rules = Path.Join(_folder, "rules.yaml");
        await File.WriteAllTextAsync(
            rules, "groups: [{ name: g, interval: 15s, rules: [{ alert: Silent, expr: \"whistle_agent_up == 0\" }] }]", Cancellation);
        _server = await InProcessServer.StartAsync(Cancellation, change: o => o with { Time = _clock, RunTimers = false, Rules = [rules] });
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task An_agent_renews_its_credential_when_a_third_is_left_and_goes_on()
    {
        using var agent = await AgentAsync();
        await ReportAsync(agent);
        var first = await File.ReadAllTextAsync(TokenFile, Cancellation);
        _clock.Advance(TimeSpan.FromDays(61));
        await ReportAsync(agent);

        var second = await File.ReadAllTextAsync(TokenFile, Cancellation);
        Assert.NotEqual(first, second);
        Assert.Equal("600", Shell.Mode(TokenFile));
        Assert.False(File.Exists($"{TokenFile}.next"));
        await ReportAsync(agent);
        Assert.Null(await _server.App.Credentials.AuthenticateAsync(first.Trim(), Cancellation));
        var entry = Assert.Single(await EntriesAsync("renew-credential"));
        Assert.Equal(
            ("agent:acme/prod/n1", "acme", "n1"), (entry.What.Actor.Identity, entry.What.Scope.Tenant, entry.What.Subject));
        var node = await GetAsync("nodes/acme/prod/n1");
        Assert.Equal(_clock.GetUtcNow().AddDays(90), node.GetProperty("credentialEndsAt").GetDateTimeOffset());
        Assert.Equal(AgentOptions.Version, node.GetProperty("version").GetString());
        Assert.Equal(0, node.GetProperty("clockSkewSeconds").GetDouble(), 1.0);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_agent_that_ended_between_the_server_and_its_own_file_goes_on(bool isUsed)
    {
        using var agent = await AgentAsync();
        await ReportAsync(agent);
        var (old, next) = ((await File.ReadAllTextAsync(TokenFile, Cancellation)).Trim(), AccessToken.New(AccessToken.OfSender));
        WholeFile.Replace($"{TokenFile}.next", Encoding.ASCII.GetBytes(next + "\n"));
        Assert.Equal(1, await _server.App.Credentials.RotateAsync(new("acme", "prod"), null, Cancellation));
        Assert.IsType<RenewOutcome.Renewed>(await _server.App.Credentials.RenewAsync(old, next, Cancellation));
        if (isUsed)
            Assert.NotNull(await _server.App.Credentials.AuthenticateAsync(next, Cancellation));
        else
            _clock.Advance(TimeSpan.FromHours(25));

        await agent.ReportAsync(Cancellation);
        await agent.SendPendingAsync(Cancellation);
        Assert.Equal(next, (await File.ReadAllTextAsync(TokenFile, Cancellation)).Trim());
        await ReportAsync(agent);
    }

    [Fact]
    public async Task After_a_restore_an_agent_goes_on_with_the_credential_that_the_server_knows()
    {
        using var agent = await AgentAsync();
        await ReportAsync(agent);
        var first = await File.ReadAllTextAsync(TokenFile, Cancellation);
        await SaveAsync("old");
        Assert.Equal(1, await _server.App.Credentials.RotateAsync(new("acme", "prod"), null, Cancellation));
        await ReportAsync(agent);
        await ReportAsync(agent);
        Assert.NotEqual(first, await File.ReadAllTextAsync(TokenFile, Cancellation));

        await RestoreAsync("old");
        _clock.Advance(TimeSpan.FromMinutes(2));
        await agent.ReportAsync(Cancellation);
        Assert.False(await agent.SendPendingAsync(Cancellation));
        Assert.True(await agent.SendPendingAsync(Cancellation));
        Assert.Equal(first, await File.ReadAllTextAsync(TokenFile, Cancellation));
        Assert.Equal("600", Shell.Mode(TokenFile));
    }

    [Fact]
    public async Task A_renewal_that_is_under_way_loses_neither_and_a_restore_of_something_newer_finds_the_newer_one()
    {
        using var agent = await AgentAsync();
        await ReportAsync(agent);
        var first = await File.ReadAllTextAsync(TokenFile, Cancellation);
        await SaveAsync("old");
        await RotateAsync();
        var second = await File.ReadAllTextAsync(TokenFile, Cancellation);
        await SaveAsync("new");
        // The next was begun, and the server never heard of it.
        WholeFile.Replace($"{TokenFile}.next", Encoding.ASCII.GetBytes(AccessToken.New(AccessToken.OfSender) + "\n"));

        await RestoreAsync("old");
        await GoOnAsync();
        Assert.Equal(first, await File.ReadAllTextAsync(TokenFile, Cancellation));
        await RestoreAsync("new");
        await GoOnAsync();
        Assert.Equal(second, await File.ReadAllTextAsync(TokenFile, Cancellation));

        // What was put there by hand is not taken for one of these.
        WholeFile.Replace(TokenFile, Encoding.ASCII.GetBytes(AccessToken.New(AccessToken.OfSender) + "\n"));
        File.Delete($"{TokenFile}.next");
        _clock.Advance(TimeSpan.FromMinutes(2));
        await agent.ReportAsync(Cancellation);
        Assert.False(await agent.SendPendingAsync(Cancellation));
        Assert.False(await agent.SendPendingAsync(Cancellation));

        async Task RotateAsync()
        {
            await _server.App.Credentials.RotateAsync(new("acme", "prod"), null, Cancellation);
            await ReportAsync(agent);
            await ReportAsync(agent);
        }

        async Task GoOnAsync()
        {
            _clock.Advance(TimeSpan.FromMinutes(2));
            await agent.ReportAsync(Cancellation);
            Assert.False(await agent.SendPendingAsync(Cancellation));
            Assert.True(await agent.SendPendingAsync(Cancellation));
        }
    }

    [Fact]
    public async Task An_agent_whose_token_file_cannot_be_replaced_asks_for_nothing()
    {
        using var mounts = MountFolder.Create();
        using var agent = await AgentAsync();
        File.Copy(TokenFile, Path.Join(mounts.FullPath, "token"));
        mounts.Mount("--bind", Path.Join(mounts.FullPath, "token"), TokenFile);
        await _server.App.Credentials.RotateAsync(new("acme", "prod"), null, Cancellation);
        var end = (await GetAsync("nodes/acme/prod/n1")).GetProperty("credentialEndsAt").GetDateTimeOffset();

        await ReportAsync(agent);
        Assert.Empty(await EntriesAsync("renew-credential"));
        Assert.Equal(end, (await GetAsync("nodes/acme/prod/n1")).GetProperty("credentialEndsAt").GetDateTimeOffset());
        mounts.Unmount();
        _clock.Advance(TimeSpan.FromMinutes(2));
        await ReportAsync(agent);
        Assert.Single(await EntriesAsync("renew-credential"));
    }

    [Fact]
    public async Task A_credential_that_the_server_may_have_is_not_thrown_away_while_its_node_is_archived()
    {
        using var agent = await AgentAsync();
        await ReportAsync(agent);
        var (old, next) = ((await File.ReadAllTextAsync(TokenFile, Cancellation)).Trim(), AccessToken.New(AccessToken.OfSender));
        await _server.App.Credentials.RotateAsync(new("acme", "prod"), null, Cancellation);
        WholeFile.Replace($"{TokenFile}.next", Encoding.ASCII.GetBytes(next + "\n"));
        Assert.IsType<RenewOutcome.Renewed>(await _server.App.Credentials.RenewAsync(old, next, Cancellation));
        _clock.Advance(TimeSpan.FromHours(25));
        await PostAsync("nodes/acme/prod/n1/archive");
        await agent.ReportAsync(Cancellation);
        Assert.False(await agent.SendPendingAsync(Cancellation));
        Assert.True(File.Exists($"{TokenFile}.next"));

        await PostAsync("nodes/acme/prod/n1/unarchive");
        _clock.Advance(TimeSpan.FromMinutes(2));
        await agent.SendPendingAsync(Cancellation);
        await ReportAsync(agent);
        Assert.Equal(next, (await File.ReadAllTextAsync(TokenFile, Cancellation)).Trim());
    }

    [Fact]
    public async Task A_next_credential_that_was_another_s_is_replaced()
    {
        using var agent = await AgentAsync();
        var used = await _server.App.Credentials.EnrollAsync(new("acme", "prod"), "n2", Cancellation);
        await _server.App.Credentials.RevokeAsync(new("acme", "prod"), "n2", Cancellation);
        WholeFile.Replace($"{TokenFile}.next", Encoding.ASCII.GetBytes(used + "\n"));
        await _server.App.Credentials.RotateAsync(new("acme", "prod"), "n1", Cancellation);
        await ReportAsync(agent);
        _clock.Advance(TimeSpan.FromMinutes(2));
        await ReportAsync(agent);
        Assert.NotEqual(used, (await File.ReadAllTextAsync(TokenFile, Cancellation)).Trim());
        Assert.False((await GetAsync("nodes/acme/prod/n1")).GetProperty("renewalDue").GetBoolean());
    }

    [Fact]
    public async Task Rotation_renews_with_the_next_report()
    {
        using var agent = await AgentAsync();
        var first = await File.ReadAllTextAsync(TokenFile, Cancellation);
        Assert.Equal(404, await StatusAsync(_server.Http, HttpMethod.Post, "agents/rotation", new { tenant = "acme", cluster = "prd" }));
        using var asked = await _server.Http.PostAsJsonAsync(
            $"{Root}/agents/rotation", new { tenant = "acme", cluster = "prod" }, Cancellation);
        Assert.StartsWith(
            """{"asked":1,"tenant":"acme","cluster":"prod",""", await asked.Content.ReadAsStringAsync(Cancellation),
            StringComparison.Ordinal);

        await ReportAsync(agent);
        Assert.NotEqual(first, await File.ReadAllTextAsync(TokenFile, Cancellation));
        await ReportAsync(agent);
        Assert.False((await GetAsync("nodes/acme/prod/n1")).GetProperty("renewalDue").GetBoolean());
        Assert.Single(await EntriesAsync("rotate-agents"), e => e.What.Outcome is AuditOutcome.Done);
    }

    [Fact]
    public async Task A_silent_node_that_is_archived_is_silent_no_more_and_speaks_again_once_taken_back()
    {
        using var agent = await AgentAsync();
        await ReportAsync(agent);
        await EvaluateAsync();
        for (var i = 0; i < 6; i++)
            await EvaluateAsync();
        Assert.Contains(_server.App.Rules.Signals, IsSilent);

        await PostAsync("nodes/acme/prod/n1/archive");
        for (var i = 0; i < 3; i++)
            await EvaluateAsync();
        Assert.DoesNotContain(_server.App.Rules.Signals, IsSilent);
        Assert.Equal(0, (await GetAsync("nodes")).GetArrayLength());
        Assert.Equal("n1", (await GetAsync("nodes?archived=true"))[0].GetProperty("node").GetString());

        await agent.ReportAsync(Cancellation);
        Assert.False(await agent.SendPendingAsync(Cancellation));
        await PostAsync("nodes/acme/prod/n1/unarchive");
        Assert.True(await agent.SendPendingAsync(Cancellation));
        Assert.Equal(["archive-node", "unarchive-node"], (await EntriesAsync("*node")).Select(e => e.What.Action).Order());

        static bool IsSilent(Detectors.Signals.Signal signal) =>
            signal.Labels["alertname"] == "Silent" && signal.State is Detectors.Signals.SignalState.Firing;
    }

    [Fact]
    public async Task An_archived_cluster_answers_403_with_what_to_do()
    {
        using var sender = await _server.SenderAsync("acme", "prod");
        await PostAsync("clusters/acme/prod/archive");
        using var refused = await sender.SendAsync([Of("load", 1)], Cancellation);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        var body = await refused.Content.ReadAsStringAsync(Cancellation);
        Assert.Contains("whistle clusters unarchive prod --tenant acme", body, StringComparison.Ordinal);
        Assert.Equal(0, (await GetAsync("clusters")).GetArrayLength());
    }

    [Fact]
    public async Task The_limits_of_a_tenant_are_its_own_and_are_named()
    {
        using var mine = await _server.SenderAsync("acme", "prod");
        using var others = await _server.SenderAsync("globex", "prod");
        await LimitAsync(new { series = 2 });
        var refused = await AnswerAsync(mine, Of("load", 1, ("d", "1")), Of("load", 1, ("d", "2")), Of("load", 1, ("d", "3")));
        Assert.Equal(429, refused.Status);
        Assert.Contains("the tenant acme has 2 series, as many as its own limit (series) allows", refused.Body, StringComparison.Ordinal);
        Assert.Equal(204, (await AnswerAsync(others, [.. Enumerable.Range(0, 9).Select(i => Of("load", 1, ("d", $"{i}")))])).Status);

        await LimitAsync(new { newSeries = 2 });
        Assert.Contains("its own limit (new-series)", (await AnswerAsync(mine, Of("load", 1, ("d", "4")))).Body, StringComparison.Ordinal);
        await LimitAsync(new { storedSeries = 2 });
        var stored = await AnswerAsync(mine, Of("load", 1, ("d", "5")));
        Assert.Contains("its own limit (stored-series)", stored.Body, StringComparison.Ordinal);

        // One request passes and is paid for; the next one waits.
        await LimitAsync(new { samplesPerSecond = 1 });
        await AnswerAsync(mine, [.. Enumerable.Range(0, 20).Select(i => Of("load", i, ("d", "1")))]);
        Assert.Contains(
            "The tenant acme sends more than 1 samples a second, which is its own limit.", (await AnswerAsync(mine, Of("load", 1))).Body,
            StringComparison.Ordinal);
        await LimitAsync(new { bytesPerSecond = 1 });
        // What was overdrawn fills at the new rate.
        _clock.Advance(TimeSpan.FromSeconds(1));
        await AnswerAsync(mine, Of("load", 1, ("d", "1")));
        Assert.Contains("more than 1 bytes a second", (await AnswerAsync(mine, Of("load", 1, ("d", "1")))).Body, StringComparison.Ordinal);
        Assert.Equal(204, (await AnswerAsync(others, Of("load", 1, ("d", "1")))).Status);
        await LimitAsync(new { });
        Assert.Equal(204, (await AnswerAsync(mine, Of("load", 1, ("d", "1")))).Status);
    }

    [Fact]
    public async Task Who_manages_one_tenant_edits_its_contacts_and_notes_and_no_more()
    {
        using var sender = await _server.SenderAsync("acme", "c1");
        using var other = await _server.SenderAsync("globex", "c1");
        var someone = await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.Of("acme"));
        Assert.Equal(204, await StatusAsync(
            someone.Http, HttpMethod.Patch, "tenants/acme",
            new Dictionary<string, object> { ["notes"] = "words", ["contacts"] = Contacts }));
        Assert.Equal(403, await StatusAsync(someone.Http, HttpMethod.Patch, "tenants/acme", new { name = "ACME" }));
        Assert.Equal(403, await StatusAsync(someone.Http, HttpMethod.Put, "tenants/acme/limits", new { series = 1 }));
        Assert.Equal(403, await StatusAsync(someone.Http, HttpMethod.Post, "tenants", new { id = "new" }));
        Assert.Equal(404, await StatusAsync(someone.Http, HttpMethod.Patch, "tenants/globex", new { notes = "words" }));
        Assert.Equal(204, await StatusAsync(someone.Http, HttpMethod.Post, "clusters", new { tenant = "acme", id = "c2" }));
        Assert.Equal(403, await StatusAsync(someone.Http, HttpMethod.Post, "clusters", new { tenant = "globex", id = "c2" }));
        Assert.Equal(400, await StatusAsync(someone.Http, HttpMethod.Patch, "tenants/acme", new { note = "words" }));

        var shown = await GetAsync("tenants/acme");
        Assert.Equal("words", shown.GetProperty("tenant").GetProperty("notes").GetString());
        Assert.Equal(["c1", "c2"], shown.GetProperty("clusters").EnumerateArray().Select(c => c.GetProperty("id").GetString()));
        Assert.Contains(shown.GetProperty("viewers").EnumerateArray(), v => v.GetProperty("name").GetString() == someone.Name);
        var entry = (await EntriesAsync("change-tenant")).Last(e => e.What.Outcome is AuditOutcome.Done);
        Assert.Equal(("acme", "acme"), (entry.What.Scope.Tenant, entry.What.Subject));
        using var listed = await someone.Http.GetAsync($"{Root}/tenants", Cancellation);
        Assert.DoesNotContain("globex", await listed.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Telemetry_of_a_tenant_goes_after_its_own_retention_and_nobody_else_s()
    {
        using var mine = await _server.SenderAsync("acme", "prod");
        using var others = await _server.SenderAsync("globex", "prod");
        Assert.Equal(204, (await AnswerAsync(mine, Of("load", 1))).Status);
        Assert.Equal(204, (await AnswerAsync(others, Of("load", 1))).Status);
        Assert.Equal(400, await StatusAsync(_server.Http, HttpMethod.Put, "tenants/acme/limits", new { retentionDays = 16 }));
        await LimitAsync(new { retentionDays = 1 });
        var limits = (await GetAsync("tenants/acme")).GetProperty("tenant").GetProperty("limits");
        Assert.Equal(1, limits.GetProperty("retentionDays").GetInt32());
        Assert.False(limits.TryGetProperty("retention", out _));
        _clock.Advance(TimeSpan.FromHours(26));

        // Each time the clock goes on, the server looks after what it has.
        string kept;
        for (var rounds = 0; (kept = await KeptAsync()).Contains("acme", StringComparison.Ordinal); rounds++)
        {
            Assert.InRange(rounds, 0, 2000);
            _clock.Advance(TimeSpan.FromMinutes(2));
        }

        Assert.Contains("globex", kept, StringComparison.Ordinal);

        Task<string> KeptAsync() => _server.Http.GetStringAsync(
            "api/v1/query?query=count by (tenant) (count_over_time(load[10d]))&time="
            + $"{_clock.GetUtcNow().ToUnixTimeSeconds()}", Cancellation);
    }

    [Fact]
    public async Task What_is_done_on_a_page_is_in_the_audit_as_the_same_over_the_API()
    {
        var admin = await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.All);
        await DoAsync("over-api", async (path, method, body) => Assert.Equal(204, await StatusAsync(admin.Http, method, path, body)));
        var page = Page(admin);
        var entry = new RegisterChange("ACME", ["ann", "bob"], "words", new Dictionary<string, string> { ["zone"] = "eu-1" });
        await AllAsync(
            () => page.AddTenantAsync("on-page", entry), () => page.ChangeTenantAsync("on-page", new(Notes: "more")),
            () => page.SetTenantLimitsAsync("on-page", new(Series: 5, BytesPerSecond: 7, RetentionDays: 2)),
            () => page.ArchiveTenantAsync("on-page"),
            () => page.UnarchiveTenantAsync("on-page"), () => page.AddClusterAsync(new("on-page", "c1"), entry),
            () => page.ChangeClusterAsync(new("on-page", "c1"), new(Name: "C")), () => page.ArchiveClusterAsync(new("on-page", "c1")),
            () => page.UnarchiveClusterAsync(new("on-page", "c1")), async () =>
            {
                await _server.App.Credentials.EnrollAsync(new("on-page", "c1"), "n1", Cancellation);
                return await page.ArchiveNodeAsync(new("on-page", "c1", "n1"));
            },
            () => page.UnarchiveNodeAsync(new("on-page", "c1", "n1")));
        Assert.StartsWith("id: there is a tenant on-page already", await page.AddTenantAsync("on-page", new()), StringComparison.Ordinal);

        var entries = await EntriesAsync("*");
        Assert.Equal(11, Of("over-api").Count);
        Assert.Equal(Of("over-api"), Of("on-page"));

        List<string> Of(string tenant) =>
        [
            .. entries.Where(e => e.What.Scope.Tenant == tenant && e.What.Outcome is AuditOutcome.Done).OrderBy(e => e.Number).Select(
                e => $"{e.What.Action} {e.What.Scope} {e.What.Subject} {e.What.Details}".Replace(tenant, "t", StringComparison.Ordinal)),
        ];

        async Task DoAsync(string tenant, Func<string, HttpMethod, object?, Task> call)
        {
            var labels = new Dictionary<string, string> { ["zone"] = "eu-1" };
            string[] contacts = ["ann", "bob"];
            await call("tenants", HttpMethod.Post, new { id = tenant, name = "ACME", contacts, notes = "words", labels });
            await call($"tenants/{tenant}", HttpMethod.Patch, new { notes = "more" });
            await call($"tenants/{tenant}/limits", HttpMethod.Put, new { series = 5, bytesPerSecond = 7, retentionDays = 2 });
            await call($"tenants/{tenant}/archive", HttpMethod.Post, null);
            await call($"tenants/{tenant}/unarchive", HttpMethod.Post, null);
            await call("clusters", HttpMethod.Post, new { id = "c1", tenant, name = "ACME", contacts, notes = "words", labels });
            await call($"clusters/{tenant}/c1", HttpMethod.Patch, new { name = "C" });
            await call($"clusters/{tenant}/c1/archive", HttpMethod.Post, null);
            await call($"clusters/{tenant}/c1/unarchive", HttpMethod.Post, null);
            await _server.App.Credentials.EnrollAsync(new(tenant, "c1"), "n1", Cancellation);
            await call($"nodes/{tenant}/c1/n1/archive", HttpMethod.Post, null);
            await call($"nodes/{tenant}/c1/n1/unarchive", HttpMethod.Post, null);
        }

        static async Task AllAsync(params IReadOnlyList<Func<Task<string?>>> acts)
        {
            foreach (var act in acts)
                Assert.Null(await act());
        }
    }

    [Fact]
    public async Task Whoever_manages_one_tenant_edits_on_its_page_what_is_its_own_affair_alone()
    {
        using var sender = await _server.SenderAsync("acme", "c1");
        var someone = await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.Of("acme"));
        var page = Page(someone);
        var rights = new Rights([new(Role.Admin, AccessScope.Of("acme"))]);
        var edit = RegisterRequests.EditTenant(await TenantAsync("acme"), rights, page);
        Assert.Equal(["contacts", "notes"], edit.Fields.Select(f => f.Name));
        Assert.Null(await edit.Do(Filled(edit, ("contacts", "ann\n\n bob \n"), ("notes", "words"))));
        Assert.Equal(["ann", "bob"], (await TenantAsync("acme")).Entry.Contacts);
        Assert.Equal(("acme", "words"), ((await TenantAsync("acme")).Entry.Name, (await TenantAsync("acme")).Entry.Notes));
        Assert.Contains("for all tenants", await page.ChangeTenantAsync("acme", new(Name: "mine")), StringComparison.Ordinal);
        Assert.Contains("for all tenants", await page.ChangeTenantAsync(
            "acme", new(Labels: new Dictionary<string, string>())), StringComparison.Ordinal);
        Assert.Equal("acme", (await TenantAsync("acme")).Entry.Name);
    }

    [Fact]
    public async Task A_mistake_in_a_form_is_said_of_its_field_and_what_was_left_as_it_is_is_not_written()
    {
        var page = Page(await new Tenancy(_server, "acme").SomeoneAsync(Role.Admin, AccessScope.All));
        var add = RegisterRequests.AddTenant(page);
        Assert.StartsWith("id: ", await add.Do(Filled(add, ("id", "ACME!"))), StringComparison.Ordinal);
        Assert.StartsWith("labels: ", await add.Do(Filled(add, ("id", "acme"), ("labels", "zone"))), StringComparison.Ordinal);
        Assert.StartsWith(
            "labels: ", await add.Do(Filled(add, ("id", "acme"), ("labels", "zone=a\nzone=b"))), StringComparison.Ordinal);
        Assert.StartsWith("contacts: ", await add.Do(Filled(
            add, ("id", "acme"), ("contacts", new string('c', 301)))), StringComparison.Ordinal);
        Assert.Null(await add.Do(Filled(add, ("id", " acme "), ("name", "ACME"), ("labels", "zone = eu-1"), ("notes", "a\r\nb"))));
        var tenant = await TenantAsync("acme");
        Assert.Equal(("ACME", "a\nb", "eu-1"), (tenant.Entry.Name, tenant.Entry.Notes, tenant.Entry.Labels["zone"]));

        var edit = RegisterRequests.EditTenant(tenant, Rights.Everything, page);
        Assert.Null(await page.ChangeTenantAsync("acme", new(Notes: "somebody else's")));
        Assert.Null(await edit.Do(Filled(edit, ("name", "Acme Corp"))));
        Assert.Equal(("Acme Corp", "somebody else's"), ((await TenantAsync("acme")).Entry.Name, (await TenantAsync("acme")).Entry.Notes));

        var limits = RegisterRequests.Limits(tenant, page);
        Assert.StartsWith("series: ", await limits.Do(Filled(limits, ("series", "many"))), StringComparison.Ordinal);
        Assert.StartsWith("samplesPerSecond: ", await limits.Do(Filled(limits, ("samplesPerSecond", "0"))), StringComparison.Ordinal);
        Assert.StartsWith("newSeries: ", await limits.Do(Filled(limits, ("newSeries", "3000000000"))), StringComparison.Ordinal);
        Assert.Null(await limits.Do(Filled(limits, ("series", "50,000"), ("bytesPerSecond", "3000000000"))));
        Assert.Equal(new TenantLimits(Series: 50_000, BytesPerSecond: 3_000_000_000), (await TenantAsync("acme")).Limits);
    }

    PersonActs Page(Someone someone) =>
        ActivatorUtilities.CreateInstance<PersonActs>(_server.App.Services, new LoggedIn(someone.User));

    async Task<KnownTenant> TenantAsync(string id) =>
        (await _server.App.Credentials.Register.TenantsAsync(Cancellation)).Single(t => t.Id == id);

    static ActInput Filled(ActRequest request, params IReadOnlyList<(string Name, string Value)> values)
    {
        var fields = request.Fields.ToDictionary(f => f.Name, f => f.Value);
        foreach (var (name, value) in values)
            fields[name] = value;
        return new("", "", default) { Fields = fields };
    }

    [Fact]
    public async Task Of_a_tenant_of_which_one_sees_a_cluster_alone_nothing_is_told_but_its_name()
    {
        using var sender = await _server.SenderAsync("acme", "c1");
        using var second = await _server.SenderAsync("acme", "c2");
        await _server.App.Credentials.Register.ChangeTenantAsync("acme", new(Notes: "secret words", Contacts: ["ann"]), Cancellation);
        var someone = await new Tenancy(_server, "acme").SomeoneAsync(Role.Customer, AccessScope.Of(new ClusterId("acme", "c1")));
        var shown = await someone.Http.GetStringAsync($"{Root}/tenants/acme", Cancellation);
        Assert.DoesNotContain("secret words", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("c2", shown, StringComparison.Ordinal);
        Assert.Contains("\"c1\"", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Health_tells_of_credentials_that_were_not_renewed_and_of_those_that_ended()
    {
        await _server.App.Credentials.EnrollAsync(new("acme", "prod"), "n1", Cancellation);
        _clock.Advance(TimeSpan.FromDays(70));
        Assert.DoesNotContain(await ProblemsAsync(), p => p.Component == "credentials");
        _clock.Advance(TimeSpan.FromDays(6));
        Assert.Contains("acme/prod/n1 (2026-04-01 00:00Z) end soon", Assert.Single(
            await ProblemsAsync(), p => p.Component == "credentials").Reason, StringComparison.Ordinal);
        _clock.Advance(TimeSpan.FromDays(20));
        Assert.Contains("have ended", Assert.Single(
            await ProblemsAsync(), p => p.Component == "credentials").Reason, StringComparison.Ordinal);
        await PostAsync("nodes/acme/prod/n1/archive");
        _clock.Advance(TimeSpan.FromMinutes(1));
        Assert.DoesNotContain(await ProblemsAsync(), p => p.Component == "credentials");
    }

    async Task<IReadOnlyList<HealthProblem>> ProblemsAsync()
    {
        await _server.App.Services.GetRequiredService<CredentialWatch>().LookAsync(Cancellation);
        return _server.App.Services.GetRequiredService<HealthBoard>().Problems();
    }

    async Task<WhistleAgent> AgentAsync()
    {
        var token = await _server.App.Credentials.EnrollAsync(new("acme", "prod"), "n1", Cancellation);
        WholeFile.Replace(TokenFile, Encoding.ASCII.GetBytes(token + "\n"));
        return new(
            new AgentOptions
            {
                Server = _server.App.Address,
                TokenFile = TokenFile,
                Time = _clock,
                CommandsEnabled = false,
                Buffer = new BufferOptions { Folder = Path.Join(_folder, "buffer"), MaxAge = TimeSpan.FromDays(9999) },
            },
            NullLogger.Instance);
    }

    Task SaveAsync(string name) => SqlAsync(
        $"CREATE TABLE {name}_credentials AS SELECT * FROM credentials", $"CREATE TABLE {name}_terms AS SELECT * FROM credential_terms");

    Task RestoreAsync(string name) => SqlAsync(
        "DELETE FROM credentials", $"INSERT INTO credentials SELECT * FROM {name}_credentials", "DELETE FROM credential_terms",
        $"INSERT INTO credential_terms SELECT * FROM {name}_terms");

    async Task SqlAsync(params string[] statements)
    {
        await using var connection = await _server.App.Services.GetRequiredService<StateDatabase>().OpenAsync(Cancellation);
        foreach (var statement in statements)
            await connection.ExecuteAsync(statement, Cancellation);
    }

    static async Task ReportAsync(WhistleAgent agent)
    {
        await agent.ReportAsync(Cancellation);
        Assert.True(await agent.SendPendingAsync(Cancellation));
    }

    async Task EvaluateAsync()
    {
        _clock.Advance(TimeSpan.FromSeconds(15));
        await _server.App.Rules.EvaluateAsync(_clock.GetUtcNow(), Cancellation);
    }

    async Task LimitAsync(object limits) =>
        Assert.Equal(204, await StatusAsync(_server.Http, HttpMethod.Put, "tenants/acme/limits", limits));

    async Task PostAsync(string path) => Assert.Equal(204, await StatusAsync(_server.Http, HttpMethod.Post, path, null));

    static async Task<int> StatusAsync(HttpClient http, HttpMethod method, string path, object? body)
    {
        using var request = new HttpRequestMessage(method, $"{Root}/{path}") { Content = body is null ? null : JsonContent.Create(body) };
        using var answer = await http.SendAsync(request, Cancellation);
        return (int)answer.StatusCode;
    }

    async Task<JsonElement> GetAsync(string path) => await _server.Http.GetFromJsonAsync<JsonElement>($"{Root}/{path}", Cancellation);

    async Task<IReadOnlyList<AuditEntry>> EntriesAsync(string action) => [
        .. (await _server.App.Services.GetRequiredService<AuditLog>().ListAsync(new(), 1000, Cancellation))
            .Where(e => action[0] == '*' ? e.What.Action.EndsWith(action[1..], StringComparison.Ordinal) : e.What.Action == action)];

    async Task<(int Status, string Body)> AnswerAsync(RemoteWriteClient sender, params IReadOnlyList<TimeSeries> series)
    {
        using var answer = await sender.SendAsync(series, Cancellation);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }

    TimeSeries Of(string metric, double value, params (string, string)[] labels) =>
        new(Labels.OfMetric(metric, labels), [new Sample(_clock.GetUtcNow().ToUnixTimeMilliseconds() + (long)value, value)]);
}
