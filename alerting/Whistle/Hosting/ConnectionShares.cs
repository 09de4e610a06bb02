using System.Collections.Concurrent;
using System.Net;

using Microsoft.AspNetCore.Connections;

using Whistle.Inventory;

namespace Whistle.Hosting;

/// <summary>
/// How many connections one address, or network of IPv6, may hold at a time. This machine itself may hold as many as there are.
/// </summary>
sealed class ConnectionShares(int most)
{
    readonly ConcurrentDictionary<string, int> _held = new();

    public async Task HoldAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.RemoteEndPoint is not IPEndPoint { Address: var address } || IPAddress.IsLoopback(address))
        {
            await next(connection);
            return;
        }

        var network = CallerNetwork.Of(address);
        try
        {
            if (_held.AddOrUpdate(network, 1, (_, held) => held + 1) <= most)
                await next(connection);
            else
                connection.Abort();
        }
        finally
        {
            if (_held.AddOrUpdate(network, 0, (_, held) => held - 1) == 0)
                _held.TryRemove(new(network, 0));
        }
    }
}
