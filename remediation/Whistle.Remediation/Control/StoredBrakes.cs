using System.Data.Common;
using System.Globalization;

using Whistle.State;

namespace Whistle.Remediation.Control;

/// <summary>
/// Windows and freezes as they are stored. A row that cannot be read, by a hand in the database or an older version, keeps nothing else
/// from being read: such a window is closed, and such a freeze holds, until somebody removes it.
/// </summary>
static class StoredBrakes
{
    public static MaintenanceWindow Window(DbDataReader row)
    {
        try
        {
            return new(
                row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3),
                DateTime.Parse(row.GetString(4), CultureInfo.InvariantCulture), TimeSpan.FromSeconds(Number(row, 5)), row.GetString(6),
                row.GetString(7), Instant(row, 8));
        }
        catch (Exception e) when (IsOfTheRow(e))
        {
            return new(row.GetInt64(0), Text(row, 1), Text(row, 2), Text(row, 3), default, default, Text(row, 6), Text(row, 7), default)
            { Unreadable = Why(e) };
        }
    }

    public static ChangeFreeze Freeze(DbDataReader row)
    {
        try
        {
            return new(
                row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetString(3), row.GetString(4), Instant(row, 5), Instant(row, 6));
        }
        catch (Exception e) when (IsOfTheRow(e))
        {
            return new(row.GetInt64(0), "", "", Text(row, 3), Text(row, 4), DateTimeOffset.UnixEpoch, DateTimeOffset.MaxValue)
            { Unreadable = Why(e) };
        }
    }

    // SQLite reads any text as a number, which would end a freeze in 1970.
    static long Number(DbDataReader row, int column) =>
        row.GetValue(column) is long or int ? row.GetInt64(column) : throw new FormatException($"\"{Text(row, column)}\" is not a number.");

    static DateTimeOffset Instant(DbDataReader row, int column)
    {
        Number(row, column);
        return row.Instant(column);
    }

    static string Text(DbDataReader row, int column) => Convert.ToString(row.GetValue(column), CultureInfo.InvariantCulture) ?? "";

    static bool IsOfTheRow(Exception e) => e is FormatException or InvalidCastException or OverflowException or ArgumentException;

    static string Why(Exception e) => $"its row in the state database cannot be read ({e.Message})";
}
