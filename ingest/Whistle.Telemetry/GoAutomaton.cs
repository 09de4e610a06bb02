namespace Whistle.Telemetry;

/// <summary>
/// Says whether a program matches a whole text. The states that texts lead to, each a set of instructions, are kept as they come up, so
/// that a usual text costs one look a character; past the room for them, and for word and line boundaries, the instructions themselves are
/// followed.
/// </summary>
sealed class GoAutomaton
{
    const int MostRoom = 1 << 20;

    readonly GoProgram _program;
    readonly string _pattern;
    readonly Lock _lock = new();
    readonly Dictionary<int[], GoState> _states = new(new SameInstructions());
    readonly GoState? _start;
    GoClosure? _spare;
    int _room;

    public GoAutomaton(GoProgram program, string pattern, int mostRoom = MostRoom)
    {
        (_program, _pattern, _room) = (program, pattern, mostRoom);
        if (program.NeedsNeighbours)
            return;
        var closure = new GoClosure(program);
        closure.Add(0, GoClosure.None, GoClosure.NotKnown);
        int[] instructions = closure.Found.ToArray();
        _start = new GoState(instructions, Ends(closure, instructions, GoClosure.None));
        _spare = closure;
    }

    public bool IsMatch(string text)
    {
        if (_start is not { } state)
            return Begin(text);
        for (var i = 0; i < text.Length; i++)
        {
            var next = state.Next(text[i]) ?? Extend(state, text[i]);
            if (next is null || next.Instructions.Length == 0)
            {
                MatchingBudget.Pay(i, _pattern);
                return next is null && Follow(state.Instructions, text, i, asksNeighbours: false);
            }

            state = next;
        }

        MatchingBudget.Pay(text.Length, _pattern);
        return state.Ends;
    }

    bool Begin(string text)
    {
        var closure = Rent();
        closure.Clear();
        closure.Add(0, GoClosure.None, text.Length == 0 ? GoClosure.None : text[0]);
        int[] first = closure.Found.ToArray();
        Return(closure);
        return text.Length == 0 ? Array.Exists(first, Matches) : Follow(first, text, 0, asksNeighbours: true);
    }

    // From a position on, without keeping anything.
    bool Follow(int[] instructions, string text, int from, bool asksNeighbours)
    {
        var closure = Rent();
        for (var i = from; i < text.Length && instructions.Length > 0; i++)
        {
            Step(closure, instructions, text[i], !asksNeighbours ? GoClosure.NotKnown : i + 1 < text.Length ? text[i + 1] : GoClosure.None);
            instructions = closure.Found.ToArray();
        }

        var ends = Ends(closure, instructions, GoClosure.NotKnown);
        Return(closure);
        return ends;
    }

    // Null where there is no room to keep it.
    GoState? Extend(GoState from, char taken)
    {
        if (Volatile.Read(ref _room) <= 0)
            return null;
        var closure = Rent();
        Step(closure, from.Instructions, taken, GoClosure.NotKnown);
        int[] instructions = closure.Found.ToArray();
        Array.Sort(instructions);
        var ends = Ends(closure, instructions, GoClosure.NotKnown);
        Return(closure);
        lock (_lock)
        {
            if (!_states.TryGetValue(instructions, out var state))
            {
                state = new GoState(instructions, ends);
                _states[instructions] = state;
                _room -= state.Bytes;
            }

            _room -= from.Lead(taken, state);
            return state;
        }
    }

    void Step(GoClosure closure, int[] from, char taken, int after)
    {
        closure.Clear();
        var before = closure.Steps;
        foreach (var at in from)
        {
            ref readonly var instruction = ref _program[at];
            if (instruction.Op is GoOp.Take && instruction.Set!.Contains(taken))
                closure.Add(instruction.Next, taken, after);
        }

        MatchingBudget.Pay(from.Length + (int)(closure.Steps - before), _pattern);
    }

    // What asks for the text's end is asked once it is there.
    bool Ends(GoClosure closure, int[] instructions, int before)
    {
        if (Array.Exists(instructions, Matches))
            return true;
        closure.Clear();
        foreach (var at in instructions)
        {
            if (_program[at].Op is GoOp.Assert)
                closure.Add(_program[at].Next, before, GoClosure.None);
        }

        return Array.Exists(closure.Found.ToArray(), Matches);
    }

    bool Matches(int at) => _program[at].Op is GoOp.Match;

    GoClosure Rent() => Interlocked.Exchange(ref _spare, null) ?? new GoClosure(_program);

    void Return(GoClosure closure) => Volatile.Write(ref _spare, closure);

    sealed class SameInstructions : IEqualityComparer<int[]>
    {
        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] instructions)
        {
            var hash = new HashCode();
            foreach (var at in instructions)
                hash.Add(at);
            return hash.ToHashCode();
        }
    }
}

/// <summary>
/// A set of instructions that a text leads to, and where each next character leads, as far as it came up. Read while it grows.
/// </summary>
/// <param name="ends">A text that ends here matches.</param>
sealed class GoState(int[] instructions, bool ends)
{
    const int Page = 128;

    GoState?[]? _ascii;
    GoState?[]?[]? _others;

    public int[] Instructions => instructions;

    public bool Ends => ends;

    public int Bytes => 150 + (instructions.Length * sizeof(int));

    public GoState? Next(char c)
    {
        var page =
            c < Page ? Volatile.Read(ref _ascii) : Volatile.Read(ref _others) is { } pages ? Volatile.Read(ref pages[c / Page]) : null;
        return page is null ? null : Volatile.Read(ref page[c % Page]);
    }

    /// <summary>For one writer at a time.</summary>
    /// <returns>The bytes that it took.</returns>
    public int Lead(char c, GoState to)
    {
        var bytes = 0;
        if (c >= Page && _others is null)
        {
            Volatile.Write(ref _others, new GoState[(char.MaxValue + 1) / Page][]);
            bytes += _others!.Length * IntPtr.Size;
        }

        ref var page = ref c < Page ? ref _ascii : ref _others![c / Page];
        if (page is null)
        {
            Volatile.Write(ref page, new GoState[Page]);
            bytes += Page * IntPtr.Size;
        }

        Volatile.Write(ref page![c % Page], to);
        return bytes;
    }
}
