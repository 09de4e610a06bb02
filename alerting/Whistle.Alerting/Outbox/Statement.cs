using System.Data.Common;

using Whistle.State;

namespace Whistle.Alerting.Outbox;

/// <summary>Statements that name the transaction they belong to.</summary>
static class Statement
{
    public static int Execute(this DbTransaction transaction, string sql, params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        transaction.Connection!.Execute(sql, parameters);

    public static List<T> Query<T>(
        this DbTransaction transaction, string sql, Func<DbDataReader, T> read, params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        transaction.Connection!.Query(sql, read, parameters);

    /// <summary>The first number that is found; null where there is none.</summary>
    public static long? Number(this DbTransaction transaction, string sql, params ReadOnlySpan<(string Name, object? Value)> parameters) =>
        transaction.Query(sql, r => r.IsDBNull(0) ? null : (long?)r.GetInt64(0), parameters).FirstOrDefault();
}
