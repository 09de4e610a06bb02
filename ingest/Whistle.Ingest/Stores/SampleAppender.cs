using DuckDB.NET.Data;
using DuckDB.NET.Native;

using Whistle.State.Files;

namespace Whistle.Ingest.Stores;

/// <summary>
/// Appends rows of (series, time, value) to one table inside the connection's open transaction, by filling DuckDB's
/// column vectors in place: a row costs three stores.
/// </summary>
sealed unsafe class SampleAppender : IDisposable
{
    const int RowsPerChunk = 2048;

    readonly DuckDB.NET.Native.DuckDBAppender _appender;
    readonly DuckDBDataChunk _chunk;
    uint* _series;
    long* _times;
    double* _values;
    int _rows;

    public SampleAppender(DuckDBConnection connection, string table)
    {
        if (NativeMethods.Appender.DuckDBAppenderCreate(connection.NativeConnection, null!, table, out _appender) != DuckDBState.Success)
        {
            var reason = Reason();
            _appender.Dispose();
            throw new StoreException($"The store cannot append to {table}: {reason}");
        }

        _chunk = NewChunk();
        MapVectors();
    }

    public void Append(uint series, long time, double value)
    {
        _series[_rows] = series;
        _times[_rows] = time;
        _values[_rows] = value;
        if (++_rows == RowsPerChunk)
            AppendChunk();
    }

    public void Flush()
    {
        if (_rows > 0)
            AppendChunk();
        Check(NativeMethods.Appender.DuckDBAppenderFlush(_appender));
    }

    public void Dispose()
    {
        _chunk.Dispose();
        // Closing flushes; what a failed transaction left behind must not be.
        _ = NativeMethods.Appender.DuckDBAppenderClear(_appender);
        _appender.Dispose();
    }

    void AppendChunk()
    {
        NativeMethods.DataChunks.DuckDBDataChunkSetSize(_chunk, (ulong)_rows);
        Check(NativeMethods.Appender.DuckDBAppendDataChunk(_appender, _chunk));
        NativeMethods.DataChunks.DuckDBDataChunkReset(_chunk);
        MapVectors();
        _rows = 0;
    }

    void Check(DuckDBState state)
    {
        if (state != DuckDBState.Success)
            throw new StoreException($"The store cannot append: {Reason()}");
    }

    string Reason()
    {
        using var error = NativeMethods.Appender.DuckDBAppenderErrorData(_appender);
        return NativeMethods.ErrorData.DuckDBErrorDataMessage(error);
    }

    static DuckDBDataChunk NewChunk()
    {
        using var series = NativeMethods.LogicalType.DuckDBCreateLogicalType(DuckDBType.UnsignedInteger);
        using var time = NativeMethods.LogicalType.DuckDBCreateLogicalType(DuckDBType.TimestampMs);
        using var value = NativeMethods.LogicalType.DuckDBCreateLogicalType(DuckDBType.Double);
        IntPtr[] types = [series.DangerousGetHandle(), time.DangerousGetHandle(), value.DangerousGetHandle()];
        return NativeMethods.DataChunks.DuckDBCreateDataChunk(types, (ulong)types.Length);
    }

    void MapVectors()
    {
        _series = (uint*)Vector(0);
        _times = (long*)Vector(1);
        _values = (double*)Vector(2);
    }

    void* Vector(int column) =>
        NativeMethods.Vectors.DuckDBVectorGetData(NativeMethods.DataChunks.DuckDBDataChunkGetVector(_chunk, column));
}
