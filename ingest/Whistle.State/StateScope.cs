using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Whistle.State;

/// <summary>
/// What a transaction that writes keeps to itself on PostgreSQL until it ends, so that what it read there stays true. On SQLite there is
/// one writer at a time, whatever it names. Whoever writes rows under a scope must name that scope; rows that no scope guards are guarded
/// by their own locks alone.
/// </summary>
public readonly record struct StateScope
{
    // "Whistle" in ASCII; the number is of its own within a PostgreSQL database.
    const long EverythingKey = 0x57686973746C65;

    StateScope(string name, bool isShared) => (Name, IsShared) = (name, isShared);

    /// <summary>Nobody else writes at all. For what is rare, and for whatever names nothing narrower.</summary>
    public static readonly StateScope Everything = new("", isShared: false);

    /// <summary>Only that nobody writes under <see cref="Everything"/>: a single statement, whose rows are locked by the engine.</summary>
    public static readonly StateScope Rows = new("", isShared: true);

    /// <summary>Rows that whoever names it guards: tables of a stage, or what is one cluster's (<c>ClusterId.Scope</c>).</summary>
    public static StateScope Of(string name) => new(name, isShared: false);

    public string Name { get; }

    /// <summary>Others may have it at the same time in the same way, but nobody who changes what is under it.</summary>
    public bool IsShared { get; }

    /// <summary>To read what is under it, and rely on it until the transaction ends.</summary>
    public StateScope Shared() => new(Name, isShared: true);

    // Two names with one key only wait for one another.
    long Key => Name.Length == 0 ? EverythingKey
        : BinaryPrimitives.ReadInt64LittleEndian(XxHash64.Hash(Encoding.UTF8.GetBytes(Name), EverythingKey));

    /// <summary>Takes them all, always in the same order: whoever waits holds nothing that another waits for further down.</summary>
    internal static string Statement(IReadOnlyCollection<StateScope> scopes)
    {
        var keys = scopes.Append(Rows).GroupBy(s => s.Key).Select(g => (g.Key, IsShared: g.All(s => s.IsShared)))
            .OrderBy(k => k.Key != EverythingKey).ThenBy(k => k.Key);
        return string.Join("; ", keys.Select(k => Statement(k.Key, k.IsShared)));
    }

    /// <summary>Takes this one alone.</summary>
    internal string Statement() => Statement(Key, IsShared);

    static string Statement(long key, bool isShared) => $"SELECT pg_advisory_xact_lock{(isShared ? "_shared" : "")}({key})";
}
