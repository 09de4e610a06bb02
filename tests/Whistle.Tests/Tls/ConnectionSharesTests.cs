using System.Net;

using Microsoft.AspNetCore.Connections;

using Whistle.Hosting;

using Xunit;

namespace Whistle.Tests.Tls;

/// <summary>Nobody from one place takes all connections.</summary>
public sealed class ConnectionSharesTests
{
    readonly ConnectionShares _shares = new(2);
    readonly TaskCompletionSource _end = new();
    int _refused;

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1", "192.0.2.2")]
    [InlineData("2001:db8:1:1::1", "2001:db8:1:1:ffff::9", "2001:db8:1:2::1")]
    [InlineData("::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.2")]
    public async Task One_address_or_network_has_its_share_and_others_theirs(string one, string same, string other)
    {
        Task[] held = [HoldAsync(one), HoldAsync(same)];
        await HoldAsync(same);
        var others = HoldAsync(other);
        Assert.False(others.IsCompleted);

        _end.SetResult();
        await Task.WhenAll([.. held, others]);
        Assert.Equal(1, _refused);
        // What ended counts no more.
        await Task.WhenAll(HoldAsync(one), HoldAsync(one));
        Assert.Equal(1, _refused);
    }

    [Fact]
    public async Task This_machine_holds_as_many_as_there_are()
    {
        var held = Enumerable.Range(0, 9).Select(i => HoldAsync(i % 2 == 0 ? "127.0.0.1" : "::1")).ToList();
        _end.SetResult();
        await Task.WhenAll(held);
        Assert.Equal(0, _refused);
    }

    async Task HoldAsync(string from)
    {
        var connection = new Connection { RemoteEndPoint = new IPEndPoint(IPAddress.Parse(from), 1) };
        await _shares.HoldAsync(connection, _ => _end.Task);
        _refused += connection.IsAborted ? 1 : 0;
    }

    sealed class Connection : DefaultConnectionContext
    {
        public bool IsAborted { get; private set; }

        public override void Abort(ConnectionAbortedException abortReason) => IsAborted = true;
    }
}
