using System.Data.Common;

namespace Whistle.State;

public sealed partial class StateDatabase
{
    static readonly TimeSpan ListenAgain = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Hears what other processes on the same PostgreSQL say with <see cref="StateConnection.NotifyAsync"/>, until it is cancelled. It only
    /// saves time: what is said while no connection can be had is lost, so whoever listens must look again by themselves. On SQLite there
    /// is one process, and nothing is heard.
    /// </summary>
    /// <param name="channel">A constant of the stage that calls.</param>
    /// <param name="heard">Called with each text, by one thread at a time.</param>
    /// <param name="listening">Called with whether notices arrive from now on.</param>
    public async Task ListenAsync(
        string channel, Action<string> heard, Action<bool> listening, TimeProvider time, CancellationToken cancellation)
    {
        if (_postgreSql is null)
            return;
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await HearAsync(channel, heard, listening, cancellation);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is DbException or IOException or InvalidOperationException)
            {
                // Whoever needs the state meets it too, and says so.
                listening(false);
                await Task.Delay(ListenAgain, time, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    async Task HearAsync(string channel, Action<string> heard, Action<bool> listening, CancellationToken cancellation)
    {
        await using var connection = await _postgreSql!.OpenConnectionAsync(cancellation);
        connection.Notification += (_, notice) => heard(notice.Payload);
        await using (var command = connection.CreateCommand())
        {
#pragma warning disable CA2100 // A constant of the stage that calls.
            command.CommandText = $"LISTEN {channel}";
#pragma warning restore CA2100
            await command.ExecuteNonQueryAsync(cancellation);
        }

        listening(true);
        while (true)
            await connection.WaitAsync(cancellation);
    }
}
