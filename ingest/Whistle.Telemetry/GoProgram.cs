namespace Whistle.Telemetry;

enum GoOp : byte
{
    /// <summary>Takes one character of <see cref="GoInstruction.Set"/>.</summary>
    Take,

    /// <summary>Goes on at two places, the first preferred.</summary>
    Split,
    Jump,

    /// <summary>Notes the position in a slot: two for each group.</summary>
    Note,
    Assert,
    Match,
}

enum GoAssertion
{
    BeginText,
    EndText,
    BeginLine,
    EndLine,
    WordBoundary,
    NoWordBoundary,
}

readonly record struct GoInstruction(GoOp Op, int Next, int Other = 0, GoCharSet? Set = null);

/// <summary>
/// A regular expression as instructions for an automaton (Thompson's construction, as RE2 and Go have it). A counted repetition is written
/// out, so the number of instructions is what one character of a text can cost at most.
/// </summary>
sealed class GoProgram
{
    /// <summary>Go's own limit is a matter of memory: about 3.3 million. Nothing written by hand comes near this one.</summary>
    public const int MostInstructions = 100_000;

    readonly List<GoInstruction> _emitted = [];
    readonly GoInstruction[] _code;

    /// <exception cref="ArgumentException">It compiles to too much.</exception>
    public GoProgram(GoNode root)
    {
        if (root.Size >= MostInstructions)
            throw new ArgumentException($"bad regular expression: it is too large: it compiles to {root.Size} instructions, "
                + $"more than {MostInstructions}; use fewer repetitions in it");
        root.Emit(this);
        Add(new(GoOp.Match, 0));
        _code = [.. _emitted];
        _emitted = [];
        NeedsNeighbours = Array.Exists(_code, i => i is { Op: GoOp.Assert, Other: > (int)GoAssertion.EndText });
    }

    /// <summary>The instructions, of which the first begins; while it is emitted, so many are there.</summary>
    public int Length => _code?.Length ?? _emitted.Count;

    public ref readonly GoInstruction this[int at] => ref _code[at];

    /// <summary>It asserts something about the characters on both sides of a position.</summary>
    public bool NeedsNeighbours { get; }

    public int Add(GoInstruction instruction)
    {
        _emitted.Add(instruction);
        return _emitted.Count - 1;
    }

    /// <summary>Appends what leads on to the instruction after it.</summary>
    public int AddNext(GoOp op, int other = 0, GoCharSet? set = null) => Add(new(op, _emitted.Count + 1, other, set));

    /// <summary>Lets a split prefer what follows it, or where it leads.</summary>
    public void Split(int at, int end, bool greedy) => _emitted[at] = greedy ? new(GoOp.Split, at + 1, end) : new(GoOp.Split, end, at + 1);

    public void Jump(int at, int to) => _emitted[at] = new(GoOp.Jump, to);
}

/// <summary>A part of a regular expression.</summary>
abstract class GoNode
{
    /// <summary>Instructions that it compiles to.</summary>
    public abstract long Size { get; }

    /// <summary>Whether it can match the empty text.</summary>
    public abstract bool IsNullable { get; }

    public abstract void Emit(GoProgram program);
}

sealed class GoTake(GoCharSet set) : GoNode
{
    public override long Size => 1;

    public override bool IsNullable => false;

    public override void Emit(GoProgram program) => program.AddNext(GoOp.Take, set: set);
}

sealed class GoAssert(GoAssertion assertion) : GoNode
{
    public override long Size => 1;

    public override bool IsNullable => true;

    public override void Emit(GoProgram program) => program.AddNext(GoOp.Assert, (int)assertion);
}

sealed class GoSequence(IReadOnlyList<GoNode> parts) : GoNode
{
    public override long Size { get; } = parts.Sum(p => p.Size);

    public override bool IsNullable { get; } = parts.All(p => p.IsNullable);

    public override void Emit(GoProgram program)
    {
        foreach (var part in parts)
            part.Emit(program);
    }
}

sealed class GoChoice(IReadOnlyList<GoNode> choices) : GoNode
{
    public override long Size { get; } = choices.Sum(c => c.Size + 2) - 2;

    public override bool IsNullable { get; } = choices.Any(c => c.IsNullable);

    public override void Emit(GoProgram program)
    {
        var jumps = new List<int>();
        foreach (var choice in choices.SkipLast(1))
        {
            var split = program.AddNext(GoOp.Split);
            choice.Emit(program);
            jumps.Add(program.AddNext(GoOp.Jump));
            program.Split(split, program.Length, greedy: true);
        }

        choices[^1].Emit(program);
        foreach (var jump in jumps)
            program.Jump(jump, program.Length);
    }
}

sealed class GoGroup(int number, GoNode inner) : GoNode
{
    public override long Size { get; } = inner.Size + 2;

    public override bool IsNullable => inner.IsNullable;

    public override void Emit(GoProgram program)
    {
        program.AddNext(GoOp.Note, 2 * number);
        inner.Emit(program);
        program.AddNext(GoOp.Note, (2 * number) + 1);
    }
}

/// <param name="most">Null for no end.</param>
sealed class GoRepeat(GoNode inner, int least, int? most, bool greedy) : GoNode
{
    public override long Size { get; } = most is { } end ? (inner.Size * end) + (end - least) : (inner.Size * Math.Max(least, 1)) + 2;

    public override bool IsNullable { get; } = least == 0 || inner.IsNullable;

    public override void Emit(GoProgram program)
    {
        for (var i = 0; i < (most is null ? least - 1 : least); i++)
            inner.Emit(program);
        if (most is { } end)
            EmitOptional(program, end - least);
        else
            EmitEndless(program);
    }

    // Each of them leads to the same end.
    void EmitOptional(GoProgram program, int times)
    {
        var splits = new List<int>();
        for (var i = 0; i < times; i++)
        {
            splits.Add(program.AddNext(GoOp.Split));
            inner.Emit(program);
        }

        foreach (var split in splits)
            program.Split(split, program.Length, greedy);
    }

    // As Go compiles it: x* goes back to where it began, so that a loop around it that comes there again at the same position ends. Where x
    // may be empty it is (x+)?, for only then an empty turn ends the loop as a backtracking engine would.
    void EmitEndless(GoProgram program)
    {
        if (least == 0 && !inner.IsNullable)
        {
            var split = program.AddNext(GoOp.Split);
            inner.Emit(program);
            program.Jump(program.AddNext(GoOp.Jump), split);
            program.Split(split, program.Length, greedy);
            return;
        }

        var skip = least == 0 ? program.AddNext(GoOp.Split) : -1;
        var start = program.Length;
        inner.Emit(program);
        var loop = program.Length;
        program.Add(greedy ? new(GoOp.Split, start, loop + 1) : new(GoOp.Split, loop + 1, start));
        if (skip >= 0)
            program.Split(skip, program.Length, greedy);
    }
}
