using System.Globalization;

namespace Whistle.PromQL;

/// <summary>Runs of digits count as numbers: node2 comes before node10.</summary>
public static class NaturalOrder
{
    public static readonly IComparer<string> Comparer = Comparer<string>.Create(Compare);

    public static int Compare(string a, string b)
    {
        var left = a.AsSpan();
        var right = b.AsSpan();
        while (!left.IsEmpty && !right.IsEmpty)
        {
            var x = Run(left);
            var y = Run(right);
            left = left[x.Length..];
            right = right[y.Length..];
            var order = long.TryParse(x, NumberStyles.None, CultureInfo.InvariantCulture, out var p)
                && long.TryParse(y, NumberStyles.None, CultureInfo.InvariantCulture, out var q)
                ? p.CompareTo(q) : x.CompareTo(y, StringComparison.Ordinal);
            if (order != 0)
                return order;
        }

        return left.Length.CompareTo(right.Length);
    }

    static ReadOnlySpan<char> Run(ReadOnlySpan<char> text)
    {
        var end = char.IsAsciiDigit(text[0]) ? text.IndexOfAnyExceptInRange('0', '9') : text.IndexOfAnyInRange('0', '9');
        return end < 0 ? text : text[..end];
    }
}
