namespace Whistle.Inventory;

/// <summary>The known names that somebody may have meant by an unknown one.</summary>
public static class Nearest
{
    const int Most = 3;
    const int MostListed = 50;

    /// <summary>
    /// Words to append to a refusal, such as <c>: did you mean prod-eu-1?</c>; without any that is near, all of a few names are listed.
    /// </summary>
    public static string Words(string name, IReadOnlyCollection<string> known, string noun)
    {
        if (known.Count == 0)
            return $": no {noun} is known.";
        var all = known.Distinct().Select(k => (Name: k, Distance: Distance(name, k))).ToList();
        var best = all.Min(k => k.Distance);
        List<string> near = [.. all.Where(
            k => k.Distance <= Math.Max(2, Math.Min(name.Length, k.Name.Length) / 3) && k.Distance - best <= (best == 0 ? 0 : 1))
            .OrderBy(k => k.Distance).ThenBy(k => k.Name, StringComparer.Ordinal).Take(Most).Select(k => k.Name)];
        return near.Count > 0
            ? $": did you mean {string.Join(" or ", near)}?"
            : known.Count <= MostListed ? $"; there are {string.Join(", ", known.Order(StringComparer.Ordinal))}."
            : $"; none of the {known.Count} that are known is like it.";
    }

    // Case and space around do not make a name another one here; what contains the whole name, or is contained, is near.
    static int Distance(string name, string known)
    {
        var (a, b) = (name.Trim().ToLowerInvariant(), known.ToLowerInvariant());
        if (a.Length > 100 || b.Length > 300)
            return int.MaxValue;
        return a == b ? 0 : a.Length >= 3
            && (b.Contains(a, StringComparison.Ordinal) || (b.Length >= 3 && a.Contains(b, StringComparison.Ordinal))) ? 1 : Edits(a, b);
    }

    /// <summary>Levenshtein's distance.</summary>
    public static int Edits(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }

        return row[^1];
    }
}
