namespace Whistle.Actions.Contract;

static class Bytes
{
    static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

    public static string Text(long count)
    {
        double value = count;
        var unit = 0;
        for (; value >= 1024 && unit < Units.Length - 1; unit++)
            value /= 1024;
        return unit == 0 ? $"{count} B" : $"{value:0.0} {Units[unit]}";
    }
}
