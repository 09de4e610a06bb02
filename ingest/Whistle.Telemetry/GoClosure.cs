namespace Whistle.Telemetry;

/// <summary>
/// The instructions that a text leads to at one position, in the order in which they are preferred, each once. They take a character,
/// match, or (where what follows is not known yet) ask for the text's end. It is made for one program and used again and again by one
/// thread at a time.
/// </summary>
sealed class GoClosure(GoProgram program)
{
    // Stand-ins for a character beside a position.
    public const int None = -1;
    public const int NotKnown = -2;

    readonly int[] _at = new int[program.Length];
    readonly int[] _place = new int[program.Length];
    readonly int[] _found = new int[program.Length];
    int[] _open = new int[64];
    int _visited;
    int _count;

    /// <summary>Those that were found, in order.</summary>
    public ReadOnlySpan<int> Found => _found.AsSpan(0, _count);

    /// <summary>Instructions met since it was made.</summary>
    public long Steps { get; private set; }

    public void Clear() => (_visited, _count) = (0, 0);

    /// <param name="start">Where to go on from.</param>
    /// <param name="before">The character before the position, or <see cref="None"/>.</param>
    /// <param name="after">The character after it, <see cref="None"/> at the end, or <see cref="NotKnown"/>.</param>
    public void Add(int start, int before, int after)
    {
        var open = 0;
        for (var at = start; ; at = _open[--open])
        {
            at = Walk(at, ref open, before, after);
            if (at >= 0)
                _found[_count++] = at;
            if (open == 0)
                return;
        }
    }

    // Along one way to an instruction that stays, noting where it forks; -1 where it ends or was met before.
    int Walk(int at, ref int open, int before, int after)
    {
        while (true)
        {
            Steps++;
            if (!Visit(at))
                return -1;
            ref readonly var instruction = ref program[at];
            switch (instruction.Op)
            {
                case GoOp.Split:
                    if (open == _open.Length)
                        Array.Resize(ref _open, 2 * open);
                    _open[open++] = instruction.Other;
                    break;
                case GoOp.Jump or GoOp.Note:
                    break;
                case GoOp.Assert when (GoAssertion)instruction.Other is GoAssertion.EndText && after == NotKnown:
                    return at;
                case GoOp.Assert:
                    if (!Holds((GoAssertion)instruction.Other, before, after))
                        return -1;
                    break;
                default:
                    return at;
            }

            at = instruction.Next;
        }
    }

    public static bool Holds(GoAssertion assertion, int before, int after) => assertion switch
    {
        GoAssertion.BeginText => before == None,
        GoAssertion.EndText => after == None,
        GoAssertion.BeginLine => before is None or '\n',
        GoAssertion.EndLine => after is None or '\n',
        GoAssertion.WordBoundary => IsWord(before) != IsWord(after),
        GoAssertion.NoWordBoundary => IsWord(before) == IsWord(after),
        _ => throw new InvalidOperationException($"Unknown assertion {assertion}."),
    };

    static bool IsWord(int character) => character == '_' || (character >= 0 && char.IsAsciiLetterOrDigit((char)character));

    // A sparse set (Briggs and Torczon): it is emptied at once, however large it is.
    bool Visit(int at)
    {
        if (_place[at] < _visited && _at[_place[at]] == at)
            return false;
        (_place[at], _at[_visited]) = (_visited, at);
        _visited++;
        return true;
    }
}
