using System.Data.Common;

using Whistle.State;

namespace Whistle.Alerting.Stores;

/// <summary>Statements that name the transaction they belong to.</summary>
static class TransactionSql
{
    public static Task<int> ExecuteAsync(
        this StateTransaction transaction, string sql, CancellationToken cancellation,
        params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        transaction.Connection.ExecuteAsync(sql, cancellation, parameters);

    public static Task<List<T>> QueryAsync<T>(
        this StateTransaction transaction, string sql, Func<DbDataReader, T> read, CancellationToken cancellation,
        params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        transaction.Connection.QueryAsync(sql, read, cancellation, parameters);

    /// <summary>The first number that is found; null where there is none.</summary>
    public static Task<long?> NumberAsync(
        this StateTransaction transaction, string sql, CancellationToken cancellation,
        params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        FirstAsync(transaction.QueryAsync(sql, r => r.IsDBNull(0) ? null : (long?)r.GetInt64(0), cancellation, parameters));

    static async Task<long?> FirstAsync(Task<List<long?>> numbers) => (await numbers).FirstOrDefault();
}
