using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.Tests.Ingest;

/// <summary>Nodes that enrol themselves with a token of their cluster.</summary>
public sealed class JoinTests : IDisposable
{
    static readonly ClusterId Cluster = new("t", "c");

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    readonly StateDatabase _state = StateDatabase.InMemory();
    readonly Credentials _credentials;

    public JoinTests() => _credentials = new Credentials(_state, _time);

    public void Dispose() => _state.Dispose();

    [Fact]
    public async Task A_node_that_joined_sends_as_itself_and_as_nobody_else()
    {
        var token = await MakeAsync();
        var own = New();

        Assert.Equal(new JoinOutcome.Joined(Cluster.Node("n1"), 0), await JoinAsync(token, "n1", own));
        var sender = await _credentials.AuthenticateAsync(own, Cancellation);
        Assert.Equal((Cluster, "n1"), (sender!.ClusterId, sender.Node));
        Assert.Null(await _credentials.AuthenticateAsync(token, Cancellation));
        Assert.Equal("n1", Assert.Single(await _credentials.AgentsAsync(Cancellation)).NodeId.Node);
    }

    [Fact]
    public async Task A_token_lets_in_as_many_nodes_as_it_says_until_it_ends()
    {
        var token = await MakeAsync(uses: 2);
        Assert.IsType<JoinOutcome.Joined>(await JoinAsync(token, "n1"));
        Assert.Equal(1, Assert.Single(await _credentials.JoinTokensAsync(Cancellation)).Used);
        Assert.IsType<JoinOutcome.Joined>(await JoinAsync(token, "n2"));
        Assert.Contains("was used 2 times", Refusal(await JoinAsync(token, "n3")), StringComparison.Ordinal);
        Assert.Empty(await _credentials.JoinTokensAsync(Cancellation));

        var second = await MakeAsync(uses: 2);
        _time.Advance(TimeSpan.FromHours(24));
        Assert.Contains("ended at 2026-01-02 00:00:00Z", Refusal(await JoinAsync(second, "n3")), StringComparison.Ordinal);
        Assert.Empty(await _credentials.JoinTokensAsync(Cancellation));
    }

    [Fact]
    public async Task Many_who_join_at_once_use_a_token_no_more_often_than_it_says()
    {
        var token = await MakeAsync(uses: 3);
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => JoinAsync(token, $"n{i}")));

        Assert.Equal(3, outcomes.OfType<JoinOutcome.Joined>().Count());
        Assert.Equal(3, (await _credentials.AgentsAsync(Cancellation)).Count);
    }

    [Fact]
    public async Task Who_has_waited_for_another_to_join_finds_the_token_used()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-join-").FullName;
        try
        {
            using var state = new StateDatabase(Path.Combine(folder, "state.db"));
            var credentials = new Credentials(state, _time);
            var (token, _) = await credentials.MakeJoinTokenAsync(Cluster, 1, TimeSpan.FromHours(1), false, Cancellation);
            Task<JoinOutcome>[] joining;
            await using (var connection = await state.OpenAsync(Cancellation))
            await using (await connection.BeginWriteAsync(StateScope.Of("credentials"), Cancellation))
            {
                joining =
                [
                    .. Enumerable.Range(1, 2)
                        .Select(i => Task.Run(() => credentials.JoinAsync(token, $"n{i}", New(), Cancellation), Cancellation)),
                ];
                // While these reads are answered, theirs are too: both have seen the token then, and wait to write.
                for (var i = 0; i < 200; i++)
                    await credentials.JoinTokensAsync(Cancellation);
            }

            Assert.Single((await Task.WhenAll(joining)).OfType<JoinOutcome.Joined>());
            Assert.Single(await credentials.AgentsAsync(Cancellation));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task An_answer_that_was_lost_uses_the_token_no_second_time_even_after_it_ended()
    {
        var token = await MakeAsync();
        var own = New();
        var first = await JoinAsync(token, "n1", own);
        Assert.Equal(first, await JoinAsync(token, "n1", own));
        _time.Advance(TimeSpan.FromDays(2));
        Assert.Equal(first, await JoinAsync(token, "n1", own));

        Assert.Contains("was used before", Refusal(await JoinAsync(token, "n2", own), isToken: false), StringComparison.Ordinal);
        await _credentials.RevokeAsync(Cluster, "n1", Cancellation);
        Assert.Contains("was used before", Refusal(await JoinAsync(token, "n1", own), isToken: false), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_name_whose_credential_has_ended_is_still_taken()
    {
        await _credentials.EnrollAsync(Cluster, "n1", Cancellation);
        _time.Advance(TimeSpan.FromDays(90));
        Assert.Contains(
            "n1 is enrolled already", Refusal(await JoinAsync(await MakeAsync(), "n1"), isToken: false), StringComparison.Ordinal);
        Assert.IsType<JoinOutcome.Joined>(await JoinAsync(await MakeAsync(replaces: true), "n1"));
    }

    [Fact]
    public async Task A_name_that_is_taken_is_replaced_only_by_a_token_that_allows_it()
    {
        var before = await _credentials.EnrollAsync(Cluster, "n1", Cancellation);
        var plain = await MakeAsync();
        Assert.Contains("n1 is enrolled already", Refusal(await JoinAsync(plain, "n1"), isToken: false), StringComparison.Ordinal);
        Assert.NotNull(await _credentials.AuthenticateAsync(before, Cancellation));
        // It was not used up by that.
        Assert.IsType<JoinOutcome.Joined>(await JoinAsync(plain, "n2"));

        var replacing = await MakeAsync(replaces: true);
        var own = New();
        Assert.Equal(new JoinOutcome.Joined(Cluster.Node("n1"), 1), await JoinAsync(replacing, "n1", own));
        Assert.Null(await _credentials.AuthenticateAsync(before, Cancellation));
        Assert.NotNull(await _credentials.AuthenticateAsync(own, Cancellation));
    }

    [Fact]
    public async Task A_token_that_replaces_does_so_in_its_own_cluster_alone()
    {
        var namesakes = new List<string>();
        foreach (var other in new ClusterId[] { new("t", "other"), new("other", "c") })
            namesakes.Add(await _credentials.EnrollAsync(other, "n1", Cancellation));
        // Nor are they in the way of one that does not replace.
        Assert.Equal(new JoinOutcome.Joined(Cluster.Node("n1"), 0), await JoinAsync(await MakeAsync(), "n1"));
        Assert.Equal(new JoinOutcome.Joined(Cluster.Node("n1"), 1), await JoinAsync(await MakeAsync(replaces: true), "n1"));

        foreach (var namesake in namesakes)
            Assert.NotNull(await _credentials.AuthenticateAsync(namesake, Cancellation));
    }

    [Fact]
    public async Task A_credential_of_another_cluster_s_namesake_is_not_joined_again()
    {
        var own = New();
        var (other, _) = await _credentials.MakeJoinTokenAsync(new("t", "other"), 1, TimeSpan.FromHours(1), false, Cancellation);
        Assert.IsType<JoinOutcome.Joined>(await JoinAsync(other, "n1", own));

        var refusal = Refusal(await JoinAsync(await MakeAsync(), "n1", own), isToken: false);
        Assert.Contains("was used before", refusal, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_token_that_is_revoked_is_listed_no_more_and_one_that_ended_is_not_there_to_revoke()
    {
        await MakeAsync();
        var id = Assert.Single(await _credentials.JoinTokensAsync(Cancellation)).Id;
        await _credentials.RevokeJoinTokenAsync(id, Cancellation);
        Assert.Empty(await _credentials.JoinTokensAsync(Cancellation));

        await MakeAsync();
        id = Assert.Single(await _credentials.JoinTokensAsync(Cancellation)).Id;
        _time.Advance(TimeSpan.FromHours(24));
        Assert.False(await _credentials.RevokeJoinTokenAsync(id, Cancellation));
    }

    [Fact]
    public async Task A_token_that_is_revoked_unknown_cut_off_or_another_kind_lets_nobody_in()
    {
        var token = await MakeAsync();
        var id = Assert.Single(await _credentials.JoinTokensAsync(Cancellation)).Id;
        Assert.False(await _credentials.RevokeJoinTokenAsync("000000000000", Cancellation));
        Assert.False(await _credentials.RevokeJoinTokenAsync("%", Cancellation));
        Assert.True(await _credentials.RevokeJoinTokenAsync(id, Cancellation));
        Assert.False(await _credentials.RevokeJoinTokenAsync(id, Cancellation));

        var collector = await _credentials.EnrollAsync(Cluster, null, Cancellation);
        foreach (var bad in new[] { token, AccessToken.New(AccessToken.OfJoin), token[..^1], "", New(), collector })
            Assert.Contains("unknown or was revoked", Refusal(await JoinAsync(bad, "n1")), StringComparison.Ordinal);
        Assert.Empty(await _credentials.AgentsAsync(Cancellation));
    }

    [Fact]
    public async Task A_damaged_token_lets_nobody_in()
    {
        var token = await MakeAsync(uses: 1);
        await using (var connection = await _state.OpenAsync(Cancellation))
            await connection.ExecuteAsync("UPDATE join_tokens SET uses = 1000", Cancellation);

        Assert.Contains("unknown or was revoked", Refusal(await JoinAsync(token, "n1")), StringComparison.Ordinal);
        Assert.Empty(await _credentials.JoinTokensAsync(Cancellation));
    }

    [Theory]
    [InlineData("N1", null)]
    [InlineData("", null)]
    [InlineData("n1", "wst_short")]
    [InlineData("n1", "")]
    public async Task A_name_or_credential_that_is_none_is_refused(string node, string? credential)
    {
        var token = await MakeAsync();
        await Assert.ThrowsAsync<ArgumentException>(() => JoinAsync(token, node, credential ?? New()));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(10_001, 1)]
    [InlineData(1, 0)]
    [InlineData(1, 91 * 24)]
    public async Task Tokens_for_nobody_for_everybody_or_for_ever_are_refused(int uses, int hours) =>
        await Assert.ThrowsAsync<ArgumentException>(
            () => _credentials.MakeJoinTokenAsync(Cluster, uses, TimeSpan.FromHours(hours), false, Cancellation));

    static string New() => AccessToken.New(AccessToken.OfSender);

    static string Refusal(JoinOutcome outcome, bool isToken = true)
    {
        var refused = Assert.IsType<JoinOutcome.Refused>(outcome);
        Assert.Equal(isToken, refused.IsToken);
        return refused.Reason;
    }

    async Task<string> MakeAsync(int uses = 1, bool replaces = false) =>
        (await _credentials.MakeJoinTokenAsync(Cluster, uses, TimeSpan.FromHours(24), replaces, Cancellation)).Token;

    Task<JoinOutcome> JoinAsync(string token, string node, string? credential = null) =>
        _credentials.JoinAsync(token, node, credential ?? New(), Cancellation);
}
