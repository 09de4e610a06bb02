using System.Collections.Concurrent;
using System.Net;

using Microsoft.AspNetCore.Connections;

namespace Whistle.Hosting;

/// <summary>How many connections one address may hold at a time. This machine itself may hold as many as there are.</summary>
sealed class ConnectionShares(int most)
{
    readonly ConcurrentDictionary<IPAddress, int> _held = new();

    public async Task HoldAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        if (connection.RemoteEndPoint is not IPEndPoint { Address: var address } || IPAddress.IsLoopback(address))
        {
            await next(connection);
            return;
        }

        try
        {
            if (_held.AddOrUpdate(address, 1, (_, held) => held + 1) <= most)
                await next(connection);
            else
                connection.Abort();
        }
        finally
        {
            if (_held.AddOrUpdate(address, 0, (_, held) => held - 1) == 0)
                _held.TryRemove(new(address, 0));
        }
    }
}
