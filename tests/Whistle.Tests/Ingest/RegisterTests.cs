using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

/// <summary>Tenants and clusters as things of their own, nodes out of service, and credentials that end.</summary>
public sealed class RegisterTests : IDisposable
{
    static readonly ClusterId Cluster = new("acme", "prod");
    static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly FakeTimeProvider _time = new(Start);
    readonly StateDatabase _state = StateDatabase.InMemory();
    readonly Credentials _credentials;

    public RegisterTests() => _credentials = new(_state, _time);

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    FleetRegister Register => _credentials.Register;

    public void Dispose() => _state.Dispose();

    [Fact]
    public async Task What_enrolment_names_first_is_added_by_itself_and_only_once()
    {
        await EnrolAsync();
        await EnrolAsync("n2");
        await _credentials.MakeJoinTokenAsync(new("globex", "c"), 1, TimeSpan.FromHours(1), false, Cancellation);

        Assert.Equal(["acme", "globex"], (await Register.TenantsAsync(Cancellation)).Select(t => t.Id));
        Assert.Equal([Cluster, new("globex", "c")], (await Register.ClustersAsync(Cancellation)).Select(c => c.Id));
        Assert.All(await Register.TenantsAsync(Cancellation), t => Assert.Equal("enrolment", t.History.Source));
        Assert.IsType<RegisterOutcome.Refused>(await Register.AddTenantAsync("acme", new(), "ann", Cancellation));
    }

    [Fact]
    public async Task Where_tenants_must_be_known_enrolment_says_how_to_add_them()
    {
        var strict = new Credentials(_state, _time, options: new() { Known = KnownTenants.Required });
        Assert.Contains("whistle tenants add acme", (await FailsAsync(strict)).Message, StringComparison.Ordinal);
        Assert.Equal(RegisterOutcome.Done, await Register.AddTenantAsync("acme", new("ACME"), "ann", Cancellation));
        Assert.Contains("whistle clusters add prod --tenant acme", (await FailsAsync(strict)).Message, StringComparison.Ordinal);
        Assert.Equal(RegisterOutcome.Done, await Register.AddClusterAsync(Cluster, new(), "ann", Cancellation));
        await strict.EnrollAsync(Cluster, "n1", Cancellation);

        static Task<ArgumentException> FailsAsync(Credentials credentials) =>
            Assert.ThrowsAsync<ArgumentException>(() => credentials.EnrollAsync(Cluster, "n1", Cancellation));
    }

    [Fact]
    public async Task A_tenant_has_a_bound_of_clusters_whoever_adds_them_and_goes_on_with_those_it_has()
    {
        var bounded = new Credentials(_state, _time, options: new() { MaxClustersPerTenant = 3 });
        await bounded.EnrollAsync(new("acme", "c1"), "n1", Cancellation);
        await bounded.MakeJoinTokenAsync(new("acme", "c2"), 1, TimeSpan.FromHours(1), false, Cancellation);
        await bounded.EnrollAsync(new("acme", "c3"), null, Cancellation);
        await bounded.Register.ArchiveClusterAsync(new("acme", "c3"), true, "ann", Cancellation);

        var added = await bounded.Register.AddClusterAsync(new("acme", "c4"), new(), "ann", Cancellation);
        Assert.Contains("The tenant acme has 3 clusters, archived ones counted, and the setting MaxClustersPerTenant allows 3",
            Assert.IsType<RegisterOutcome.Refused>(added).Reason, StringComparison.Ordinal);
        foreach (var act in new Func<Task>[]
        {
            () => bounded.EnrollAsync(new("acme", "c4"), "n1", Cancellation),
            () => bounded.MakeJoinTokenAsync(new("acme", "c4"), 1, TimeSpan.FromHours(1), false, Cancellation),
        })
            Assert.Contains("MaxClustersPerTenant", (await Assert.ThrowsAsync<ArgumentException>(act)).Message, StringComparison.Ordinal);

        await bounded.EnrollAsync(new("acme", "c1"), "n2", Cancellation);
        await bounded.EnrollAsync(new("globex", "c4"), "n1", Cancellation);
        Assert.Equal(
            ["acme/c1", "acme/c2", "acme/c3", "globex/c4"], (await Register.ClustersAsync(Cancellation)).Select(c => $"{c.Id}"));
    }

    [Fact]
    public async Task An_archived_tenant_or_cluster_refuses_senders_and_new_ones_and_is_missed_by_nobody()
    {
        var token = await EnrolAsync();
        var collector = await _credentials.EnrollAsync(Cluster, null, Cancellation);
        var (join, _) = await _credentials.MakeJoinTokenAsync(Cluster, 1, TimeSpan.FromHours(1), false, Cancellation);
        foreach (var archive in new Func<bool, Task<RegisterOutcome>>[]
        {
            on => Register.ArchiveTenantAsync("acme", on, "ann", Cancellation),
            on => Register.ArchiveClusterAsync(Cluster, on, "ann", Cancellation),
        })
        {
            Assert.Equal(RegisterOutcome.Done, await archive(true));
            foreach (var sender in new[] { token, collector })
            {
                var check = await _credentials.CheckAsync(sender, Cancellation);
                Assert.Equal((null, true), (check.Sender, check.IsKnown));
                Assert.Contains("is archived", check.Refusal, StringComparison.Ordinal);
            }

            Assert.Empty(await _credentials.AgentsAsync(Cancellation));
            Assert.Empty(await _credentials.CollectorsAsync(Cancellation));
            Assert.Empty(await _credentials.SendersAsync(Cancellation));
            await Assert.ThrowsAsync<ArgumentException>(() => EnrolAsync("n2"));
            Assert.Contains(
                "unarchive", Assert.IsType<JoinOutcome.Refused>(await _credentials.JoinAsync(join, "n3", New(), Cancellation)).Reason,
                StringComparison.Ordinal);
            Assert.Equal(RegisterOutcome.Done, await archive(false));
            Assert.NotNull(await _credentials.AuthenticateAsync(token, Cancellation));
            Assert.Single(await _credentials.AgentsAsync(Cancellation));
        }
    }

    [Fact]
    public async Task Another_process_follows_within_seconds()
    {
        var token = await EnrolAsync();
        var other = new Credentials(_state, _time);
        Assert.NotNull(await other.AuthenticateAsync(token, Cancellation));
        await Register.ArchiveTenantAsync("acme", true, "ann", Cancellation);
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.Null(await other.AuthenticateAsync(token, Cancellation));
    }

    [Fact]
    public async Task An_archived_node_is_refused_and_missed_by_nobody_until_it_is_taken_back()
    {
        var token = await EnrolAsync();
        Assert.IsType<RegisterOutcome.Unknown>(await Register.ArchiveNodeAsync(Cluster.Node("other"), "ann", Cancellation));
        Assert.Equal(RegisterOutcome.Done, await Register.ArchiveNodeAsync(Cluster.Node("n1"), "ann", Cancellation));
        Assert.IsType<RegisterOutcome.Refused>(await Register.ArchiveNodeAsync(Cluster.Node("n1"), "ann", Cancellation));

        var check = await _credentials.CheckAsync(token, Cancellation);
        Assert.Contains("whistle nodes unarchive n1", check.Refusal, StringComparison.Ordinal);
        Assert.Empty(await _credentials.AgentsAsync(Cancellation));
        Assert.Equal("ann", Assert.Single(await _credentials.NodesAsync(Cancellation)).Archived!.By);
        Assert.Equal(RegisterOutcome.Done, await Register.UnarchiveNodeAsync(Cluster.Node("n1"), Cancellation));
        Assert.NotNull(await _credentials.AuthenticateAsync(token, Cancellation));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Enrolled_again_an_archived_node_is_in_service_and_its_earlier_credential_is_not(bool joins)
    {
        var token = await EnrolAsync();
        await Register.ArchiveNodeAsync(Cluster.Node("n1"), "ann", Cancellation);
        var own = New();
        if (joins)
        {
            var (join, _) = await _credentials.MakeJoinTokenAsync(Cluster, 1, TimeSpan.FromHours(1), false, Cancellation);
            Assert.Equal(new JoinOutcome.Joined(Cluster.Node("n1"), 1), await _credentials.JoinAsync(join, "n1", own, Cancellation));
        }
        else
        {
            own = await EnrolAsync();
        }

        Assert.NotNull(await _credentials.AuthenticateAsync(own, Cancellation));
        Assert.Null(await _credentials.AuthenticateAsync(token, Cancellation));
        Assert.Null(Assert.Single(await _credentials.NodesAsync(Cancellation)).Archived);
    }

    [Fact]
    public async Task A_node_that_is_enrolled_gets_another_token_only_where_that_is_said_and_a_collector_may_have_several()
    {
        var first = (await _credentials.EnrollAsync(Cluster, "n1", replaces: false, Cancellation)).Token!;
        var (none, refusal) = await _credentials.EnrollAsync(Cluster, "n1", replaces: false, Cancellation);
        Assert.Null(none);
        Assert.StartsWith("acme/prod/n1 is enrolled already.", refusal, StringComparison.Ordinal);
        Assert.NotNull(await _credentials.AuthenticateAsync(first, Cancellation));

        var second = (await _credentials.EnrollAsync(Cluster, "n1", replaces: true, Cancellation)).Token!;
        Assert.Null(await _credentials.AuthenticateAsync(first, Cancellation));
        Assert.NotNull(await _credentials.AuthenticateAsync(second, Cancellation));
        await Register.ArchiveNodeAsync(Cluster.Node("n1"), "ann", Cancellation);
        Assert.Null((await _credentials.EnrollAsync(Cluster, "n1", replaces: false, Cancellation)).Refusal);

        var collectors = new[]
        {
            (await _credentials.EnrollAsync(Cluster, null, replaces: false, Cancellation)).Token!,
            (await _credentials.EnrollAsync(Cluster, null, replaces: false, Cancellation)).Token!,
        };
        Assert.All(collectors, Assert.NotNull);
        await _credentials.EnrollAsync(Cluster, null, replaces: true, Cancellation);
        foreach (var token in collectors)
            Assert.Null(await _credentials.AuthenticateAsync(token, Cancellation));
    }

    [Fact]
    public async Task A_node_whose_credential_has_ended_is_enrolled_anew_without_more()
    {
        await EnrolAsync();
        _time.Advance(TimeSpan.FromDays(90));
        var (token, refusal) = await _credentials.EnrollAsync(Cluster, "n1", replaces: false, Cancellation);
        Assert.Null(refusal);
        Assert.NotNull(await _credentials.AuthenticateAsync(token!, Cancellation));
        Assert.Equal(_time.GetUtcNow(), Assert.Single(await _credentials.NodesAsync(Cancellation)).EnrolledAt);
        Assert.NotNull((await _credentials.EnrollAsync(Cluster, "n1", replaces: false, Cancellation)).Refusal);
    }

    [Fact]
    public async Task However_often_a_credential_is_renewed_its_node_was_enrolled_when_it_was()
    {
        var token = await EnrolAsync();
        for (var i = 0; i < 3; i++)
        {
            _time.Advance(TimeSpan.FromDays(70));
            var next = New();
            Assert.Equal(RenewedAs("n1"), NodeOf(await _credentials.RenewAsync(token, next, Cancellation)));
            // Its first use ends the one before.
            Assert.NotNull(await _credentials.AuthenticateAsync(token = next, Cancellation));
            Assert.Equal(Start, Assert.Single(await _credentials.NodesAsync(Cancellation)).EnrolledAt);
        }

        await _credentials.RevokeAsync(Cluster, "n1", Cancellation);
        await EnrolAsync();
        Assert.Equal(_time.GetUtcNow(), Assert.Single(await _credentials.NodesAsync(Cancellation)).EnrolledAt);
    }

    [Fact]
    public async Task A_credential_is_due_when_a_third_is_left_and_ends_with_words_on_what_to_do()
    {
        var token = await EnrolAsync();
        Assert.False((await _credentials.CheckAsync(token, Cancellation)).IsRenewalDue);
        _time.Advance(TimeSpan.FromDays(60));
        Assert.True((await _credentials.CheckAsync(token, Cancellation)).IsRenewalDue);
        Assert.True(Assert.Single(await _credentials.NodesAsync(Cancellation)).IsRenewalDue);
        _time.Advance(TimeSpan.FromDays(30));
        var check = await _credentials.CheckAsync(token, Cancellation);
        Assert.Equal((null, false), (check.Sender, check.IsKnown));
        Assert.Contains("ended at 2026-04-01 00:00:00Z", check.Refusal, StringComparison.Ordinal);
        Assert.Contains("join-token --cluster prod --tenant acme --replace", check.Refusal, StringComparison.Ordinal);
        // A node whose credential has ended is still watched.
        Assert.Single(await _credentials.AgentsAsync(Cancellation));
    }

    [Fact]
    public async Task A_collectors_token_has_no_end()
    {
        var token = await _credentials.EnrollAsync(Cluster, null, Cancellation);
        _time.Advance(TimeSpan.FromDays(3650));
        var check = await _credentials.CheckAsync(token, Cancellation);
        Assert.NotNull(check.Sender);
        Assert.False(check.IsRenewalDue);
        Assert.IsType<RenewOutcome.Refused>(await _credentials.RenewAsync(token, New(), Cancellation));
    }

    [Fact]
    public async Task The_old_credential_counts_until_the_new_one_is_used()
    {
        var (old, next) = (await DueAsync(), New());
        var renewed = Assert.IsType<RenewOutcome.Renewed>(await _credentials.RenewAsync(old, next, Cancellation));
        Assert.Equal(Start.AddDays(90), renewed.EndsAt);
        // The answer was lost.
        Assert.Equal(renewed, await _credentials.RenewAsync(old, next, Cancellation));
        Assert.NotNull(await _credentials.AuthenticateAsync(old, Cancellation));

        Assert.NotNull(await _credentials.AuthenticateAsync(next, Cancellation));
        Assert.Null(await _credentials.AuthenticateAsync(old, Cancellation));
        Assert.Equal(renewed, await _credentials.RenewAsync(next, next, Cancellation));
        Assert.IsType<RenewOutcome.Refused>(await _credentials.RenewAsync(old, New(), Cancellation));
    }

    [Fact]
    public async Task The_old_credential_counts_a_day_at_most_and_the_new_one_from_then_on()
    {
        var (old, next) = (await DueAsync(), New());
        await _credentials.RenewAsync(old, next, Cancellation);
        _time.Advance(TimeSpan.FromHours(24));
        Assert.Null(await _credentials.AuthenticateAsync(old, Cancellation));
        Assert.Equal(RenewedAs("n1"), NodeOf(await _credentials.RenewAsync(next, next, Cancellation)));
    }

    [Fact]
    public async Task Renewed_once_more_with_another_the_one_that_nobody_used_is_lost()
    {
        var (old, lost, next) = (await DueAsync(), New(), New());
        await _credentials.RenewAsync(old, lost, Cancellation);
        _time.Advance(Credentials.RenewalPause);
        Assert.Equal(RenewedAs("n1"), NodeOf(await _credentials.RenewAsync(old, next, Cancellation)));
        Assert.Null(await _credentials.AuthenticateAsync(lost, Cancellation));
        Assert.NotNull(await _credentials.AuthenticateAsync(next, Cancellation));
    }

    [Fact]
    public async Task Renewing_again_and_again_leaves_two_credentials()
    {
        var fresh = await EnrolAsync("n2");
        Assert.IsType<RenewOutcome.Refused>(await _credentials.RenewAsync(fresh, New(), Cancellation));

        var (old, next) = (await DueAsync(), New());
        Assert.IsType<RenewOutcome.Renewed>(await _credentials.RenewAsync(old, next, Cancellation));
        // Within a minute it has to be the same.
        Assert.IsType<RenewOutcome.Refused>(await _credentials.RenewAsync(old, New(), Cancellation));
        for (var i = 0; i < 20; i++)
        {
            _time.Advance(Credentials.RenewalPause);
            Assert.IsType<RenewOutcome.Renewed>(await _credentials.RenewAsync(old, next = New(), Cancellation));
        }

        Assert.Equal((3, 3), (await CountAsync("credentials"), await CountAsync("credential_terms")));
        // The new one is not due, so the chain ends here.
        Assert.IsType<RenewOutcome.Refused>(await _credentials.RenewAsync(next, New(), Cancellation));
    }

    [Fact]
    public async Task Nobody_takes_anothers_credential_by_renewing_to_it()
    {
        var (mine, theirs) = (await DueAsync(), await _credentials.EnrollAsync(new("globex", "c"), "n", Cancellation));
        Assert.IsType<RenewOutcome.Refused>(await _credentials.RenewAsync(mine, theirs, Cancellation));
        Assert.Equal("globex", (await _credentials.AuthenticateAsync(theirs, Cancellation))!.Tenant);
        await Assert.ThrowsAsync<ArgumentException>(() => _credentials.RenewAsync(mine, "wst_short", Cancellation));
        Assert.Equal(new RenewOutcome.Refused(
            "The bearer token is missing, unknown or revoked. Enrol the sender with `whistle agents add` and give it the token; a node "
            + "that enrolled itself, with `whistle-agent enroll --replace` and a new join token.", true),
            await _credentials.RenewAsync(New(), New(), Cancellation));
    }

    [Fact]
    public async Task Rotation_asks_the_agents_of_the_cluster_or_of_one_node_once()
    {
        var (one, two) = (await EnrolAsync(), await EnrolAsync("n2"));
        var other = await _credentials.EnrollAsync(new("acme", "other"), "n1", Cancellation);
        Assert.Equal(1, await _credentials.RotateAsync(Cluster, "n2", Cancellation));
        Assert.Equal(0, await _credentials.RotateAsync(Cluster, "n3", Cancellation));
        Assert.Equal([false, true, false], await DueAsync(one, two, other));
        Assert.Equal(2, await _credentials.RotateAsync(Cluster, null, Cancellation));
        Assert.Equal([true, true, false], await DueAsync(one, two, other));

        var next = New();
        await _credentials.RenewAsync(one, next, Cancellation);
        Assert.Equal([false], await DueAsync(next));
    }

    [Fact]
    public async Task Credentials_of_before_go_on_without_an_end_and_get_one_when_they_are_renewed()
    {
        var (token, next) = (await EnrolAsync(), New());
        await using (var connection = await _state.OpenAsync(Cancellation))
            await connection.ExecuteAsync("DELETE FROM credential_terms", Cancellation);
        _time.Advance(TimeSpan.FromDays(3650));
        Assert.NotNull(await _credentials.AuthenticateAsync(token, Cancellation));
        Assert.Equal(1, await _credentials.RotateAsync(Cluster, null, Cancellation));
        Assert.Equal(
            _time.GetUtcNow().AddDays(90),
            Assert.IsType<RenewOutcome.Renewed>(await _credentials.RenewAsync(token, next, Cancellation)).EndsAt);
    }

    [Fact]
    public async Task A_credential_whose_term_is_damaged_opens_nothing()
    {
        var token = await EnrolAsync();
        await using (var connection = await _state.OpenAsync(Cancellation))
            await connection.ExecuteAsync("UPDATE credential_terms SET ends_at = NULL", Cancellation);
        Assert.Null(await _credentials.AuthenticateAsync(token, Cancellation));
    }

    [Fact]
    public async Task A_clock_is_measured_by_the_median_of_the_last_requests()
    {
        await EnrolAsync();
        var node = Cluster.Node("n1");
        var now = _time.GetUtcNow().ToUnixTimeMilliseconds();
        foreach (var skew in new long[] { 120_000, 120_100, -900_000, 119_900, 120_050 })
            _credentials.Sightings.Note(node, "whistle-agent/1.2.3", $"{now + skew}");
        _credentials.Sightings.Note(node, "curl/8 <script>", "soon");
        var sighting = Assert.Single(await _credentials.NodesAsync(Cancellation)).Sighting!;
        Assert.Equal((Start, "1.2.3", TimeSpan.FromSeconds(120)), (sighting.At, sighting.Version, sighting.ClockSkew));
        Assert.True(sighting.IsClockWrong);

        await _credentials.Sightings.WriteAsync(Cancellation);
        Assert.Equal(sighting, Assert.Single(await new Credentials(_state, _time).NodesAsync(Cancellation)).Sighting);
    }

    [Fact]
    public async Task What_people_write_down_is_kept_and_what_is_too_much_is_refused()
    {
        await EnrolAsync();
        await Register.ChangeTenantAsync("acme", new(Contacts: ["ops@acme.example"], Notes: "until 18:00"), Cancellation);
        await Register.ChangeTenantAsync("acme", new(Name: "ACME"), Cancellation);
        await Register.SetLimitsAsync("acme", new(Series: 5, BytesPerSecond: 6_000_000_000), Cancellation);
        await Register.ChangeClusterAsync(
            Cluster, new(Labels: new Dictionary<string, string> { ["zone"] = "eu-1", ["provider"] = "own" }), Cancellation);

        var tenant = Assert.Single(await Register.TenantsAsync(Cancellation));
        Assert.Equal(("ACME", "until 18:00", "ops@acme.example"), (tenant.Entry.Name, tenant.Entry.Notes, tenant.Entry.Contacts[0]));
        Assert.Equal(new TenantLimits(Series: 5, BytesPerSecond: 6_000_000_000), tenant.Limits);
        Assert.Equal("eu-1", Assert.Single(await Register.ClustersAsync(Cancellation)).Entry.Labels["zone"]);
        foreach (var wrong in new RegisterChange[]
        {
            new(Name: " "), new(Name: "a\nb"), new(Contacts: [""]), new(Contacts: [null!]), new(Notes: new('x', 20_000)),
            new(Labels: new Dictionary<string, string> { ["Zone"] = "x" }), new(Contacts: [.. Enumerable.Repeat("x", 21)]),
        })
            Assert.IsType<RegisterOutcome.Mistaken>(await Register.ChangeTenantAsync("acme", wrong, Cancellation));
        foreach (var (limits, field) in new (TenantLimits, string)[]
        {
            (new(Series: 0), "series: 0 is less than 1"), (new(BytesPerSecond: -1), "bytesPerSecond: -1 is less than 1"),
            (new(9, StoredSeries: 8), "storedSeries: 8"), (new(RetentionDays: 0), "retentionDays: 0 is not between"),
        })
            Assert.StartsWith(field, Mistaken(await Register.SetLimitsAsync("acme", limits, Cancellation)), StringComparison.Ordinal);
        Assert.StartsWith("id: ", Mistaken(await Register.AddTenantAsync("A b", new(), "ann", Cancellation)), StringComparison.Ordinal);
        Assert.Equal(new TenantLimits(Series: 5, BytesPerSecond: 6_000_000_000), (await Register.TenantsAsync(Cancellation))[0].Limits);
        Assert.IsType<RegisterOutcome.Unknown>(await Register.ChangeTenantAsync("nobody", new(Notes: ""), Cancellation));
        Assert.IsType<RegisterOutcome.Unknown>(await Register.AddClusterAsync(new("nobody", "c"), new(), "ann", Cancellation));
    }

    static string Mistaken(RegisterOutcome outcome) => Assert.IsType<RegisterOutcome.Mistaken>(outcome).Reason;

    [Fact]
    public async Task A_tenant_is_not_kept_longer_than_the_server_keeps_anything()
    {
        await EnrolAsync();
        await _credentials.MakeJoinTokenAsync(new("globex", "c"), 1, TimeSpan.FromHours(1), false, Cancellation);
        var register = new FleetRegister(_state, _time, retention: TimeSpan.FromDays(15));
        Assert.Equal(RegisterOutcome.Done, await register.SetLimitsAsync("acme", new(RetentionDays: 15), Cancellation));

        Assert.Contains(
            "keeps telemetry for 15 days", Mistaken(await register.SetLimitsAsync("acme", new(RetentionDays: 16), Cancellation)),
            StringComparison.Ordinal);
        foreach (var wrong in new[] { 0, int.MaxValue })
            Assert.IsType<RegisterOutcome.Mistaken>(await register.SetLimitsAsync("acme", new(RetentionDays: wrong), Cancellation));

        var retention = Assert.Single((await register.StandingAsync(Cancellation)).Retentions);
        Assert.Equal(("acme", TimeSpan.FromDays(15)), (retention.Key, retention.Value));
    }

    [Fact]
    public async Task Tenants_from_before_there_was_a_retention_are_taken_over_and_damaged_ones_stay_damaged()
    {
        using var folder = new State.StateFolder();
        var before = new StateSchema(Credentials.Tables.Stage, [.. Credentials.Tables.Scripts.Take(4)]);
        using (var state = new StateDatabase(folder.File))
            await state.MigrateAsync(before, Cancellation);
        // As such a row was written for ACME.
        foreach (var (id, name) in new[] { ("acme", "ACME"), ("damaged", "another") })
            folder.Sql("INSERT INTO tenants (id, name, contacts, notes, labels, max_series, source, added_by, added_at, checksum) "
                + $"VALUES ('{id}', '{name}', '[]', '', '{{}}', 5, 'person', 'ann', 1767225600000, -2632918698590263391)");
        using (var state = new StateDatabase(folder.File))
        {
            await state.UpgradeAsync([Credentials.Tables], _ => { }, Cancellation);
            var tenant = Assert.Single(await new FleetRegister(state, _time).TenantsAsync(Cancellation));
            Assert.Equal(("acme", "ACME", new TenantLimits(Series: 5)), (tenant.Id, tenant.Entry.Name, tenant.Limits));
        }
    }

    Task<string> EnrolAsync(string node = "n1") => _credentials.EnrollAsync(Cluster, node, Cancellation);

    // Somebody has asked for its renewal.
    async Task<string> DueAsync()
    {
        var token = await EnrolAsync();
        Assert.Equal(1, await _credentials.RotateAsync(Cluster, "n1", Cancellation));
        return token;
    }

    async Task<long> CountAsync(string table)
    {
        await using var connection = await _state.OpenAsync(Cancellation);
        return Assert.Single(await connection.QueryAsync($"SELECT count(*) FROM {table}", r => r.GetInt64(0), Cancellation));
    }

    async Task<List<bool>> DueAsync(params string[] tokens)
    {
        List<bool> due = [];
        foreach (var token in tokens)
            due.Add((await _credentials.CheckAsync(token, Cancellation)).IsRenewalDue);
        return due;
    }

    static NodeId RenewedAs(string node) => Cluster.Node(node);

    static NodeId? NodeOf(RenewOutcome outcome) => (outcome as RenewOutcome.Renewed)?.NodeId;

    static string New() => AccessToken.New(AccessToken.OfSender);
}
