using DuckDB.NET.Data;
using DuckDB.NET.Native;

namespace Whistle.Ingest.Stores;

/// <summary>Takes rows that follow each other in a result; the spans are valid during the call.</summary>
delegate void SampleRows(ReadOnlySpan<uint> series, ReadOnlySpan<long> times, ReadOnlySpan<double> values);

/// <summary>Reads rows of (series, time, value) as DuckDB's column vectors, a few thousand at a time: a row costs three loads.</summary>
static unsafe class SampleScan
{
    const string Unexplained = "the query failed, and DuckDB does not say why.";

    /// <param name="connection">Open, and used by nobody else until this returns.</param>
    /// <param name="sql">Selects a UINTEGER, a BIGINT and a DOUBLE, none of them null.</param>
    /// <param name="each">What to do with the rows.</param>
    /// <returns>Null, or why the query failed.</returns>
    public static string? Run(DuckDBConnection connection, string sql, SampleRows each)
    {
        if (NativeMethods.PreparedStatements.DuckDBPrepare(connection.NativeConnection, sql, out var statement) != DuckDBState.Success)
        {
            using (statement)
                return NativeMethods.PreparedStatements.DuckDBPrepareError(statement) ?? Unexplained;
        }

        using (statement)
        {
            var state = NativeMethods.PreparedStatements.DuckDBExecutePreparedStreaming(statement, out var result);
            try
            {
                if (state == DuckDBState.Success)
                    ReadChunks(result, each);
                // A stream that breaks off ends like one that is whole, but for this.
                return NativeMethods.Query.DuckDBResultError(ref result) is { Length: > 0 } error
                    ? error
                    : state == DuckDBState.Success ? null
                    : Unexplained;
            }
            finally
            {
                NativeMethods.Query.DuckDBDestroyResult(ref result);
            }
        }
    }

    static void ReadChunks(DuckDBResult result, SampleRows each)
    {
        while (true)
        {
            using var chunk = NativeMethods.StreamingResult.DuckDBStreamFetchChunk(result);
            if (chunk.IsInvalid)
                return;
            var rows = (int)NativeMethods.DataChunks.DuckDBDataChunkGetSize(chunk);
            each(new(Vector(chunk, 0), rows), new(Vector(chunk, 1), rows), new(Vector(chunk, 2), rows));
        }
    }

    static void* Vector(DuckDBDataChunk chunk, int column) =>
        NativeMethods.Vectors.DuckDBVectorGetData(NativeMethods.DataChunks.DuckDBDataChunkGetVector(chunk, column));
}
