using System.Text.RegularExpressions;

namespace Whistle.Telemetry;

/// <summary>A set of UTF-16 units, written as .NET writes a class. What is in it is found out when it is first asked.</summary>
sealed class GoCharSet
{
    const byte Unknown = 0;
    const byte Outside = 1;
    const byte Inside = 2;

    readonly Regex _class;
    readonly byte[]?[] _pages = new byte[256][];

    /// <param name="text">A class in brackets, an escape, or one character, in .NET's notation.</param>
    public GoCharSet(string text) => _class = new Regex($@"\A{text}\z", RegexOptions.CultureInvariant);

    public bool Contains(char c)
    {
        // Threads that find it out at once come to the same.
        var page = _pages[c >> 8] ??= new byte[256];
        var known = page[c & 0xff];
        if (known is Unknown)
            page[c & 0xff] = known = _class.IsMatch([c]) ? Inside : Outside;
        return known is Inside;
    }
}
