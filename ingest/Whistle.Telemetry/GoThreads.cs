namespace Whistle.Telemetry;

/// <summary>
/// Finds what the groups of a program match (Pike's virtual machine): all ways through the program go forward side by side, those that are
/// preferred first, each with what it noted. For one search.
/// </summary>
sealed class GoThreads(GoProgram program, string pattern)
{
    readonly List<(int At, Noted? Noted)> _now = [];
    readonly List<(int At, Noted? Noted)> _next = [];
    readonly Stack<(int At, Noted? Noted)> _open = [];
    readonly int[] _visited = new int[program.Length];
    int _round;

    /// <summary>
    /// The leftmost match that begins at or after a place, as positions of its groups: two for each, -1 where it matched nothing; null
    /// where there is none.
    /// </summary>
    /// <param name="whole">It must be the whole text.</param>
    public int[]? Find(string text, int from, bool whole)
    {
        _now.Clear();
        int[]? found = null;
        for (var i = from; ; i++)
        {
            var (before, after) = (i == 0 ? GoClosure.None : text[i - 1], i == text.Length ? GoClosure.None : text[i]);
            if (i == from)
                _round++;
            // What is under way is preferred to what begins here.
            if (found is null && (!whole || i == from))
                Add(_now, 0, new Noted(0, i, null), i, before, after);
            if (_now.Count == 0 && (whole || found is not null))
                return found;
            found = Step(text, i, whole) ?? found;
            if (i == text.Length)
                return found;
        }
    }

    int[]? Step(string text, int i, bool whole)
    {
        _next.Clear();
        _round++;
        int[]? found = null;
        var (before, after) = (i == text.Length ? GoClosure.None : text[i], i + 1 >= text.Length ? GoClosure.None : text[i + 1]);
        foreach (var (at, noted) in _now)
        {
            MatchingBudget.Pay(1, pattern);
            ref readonly var instruction = ref program[at];
            if (instruction.Op is GoOp.Take)
            {
                if (i < text.Length && instruction.Set!.Contains(text[i]))
                    Add(_next, instruction.Next, noted, i + 1, before, after);
            }
            else if (!whole || i == text.Length)
            {
                // Whatever comes behind is less preferred.
                found = new Noted(1, i, noted).Places();
                break;
            }
        }

        _now.Clear();
        _now.AddRange(_next);
        return found;
    }

    void Add(List<(int At, Noted? Noted)> to, int start, Noted? noted, int position, int before, int after)
    {
        _open.Push((start, noted));
        while (_open.TryPop(out var thread))
        {
            MatchingBudget.Pay(1, pattern);
            if (_visited[thread.At] == _round)
                continue;
            _visited[thread.At] = _round;
            ref readonly var instruction = ref program[thread.At];
            switch (instruction.Op)
            {
                case GoOp.Jump:
                    _open.Push((instruction.Next, thread.Noted));
                    break;
                case GoOp.Note:
                    _open.Push((instruction.Next, new Noted(instruction.Other, position, thread.Noted)));
                    break;
                case GoOp.Split:
                    _open.Push((instruction.Other, thread.Noted));
                    _open.Push((instruction.Next, thread.Noted));
                    break;
                case GoOp.Assert when GoClosure.Holds((GoAssertion)instruction.Other, before, after):
                    _open.Push((instruction.Next, thread.Noted));
                    break;
                case GoOp.Assert:
                    break;
                default:
                    to.Add(thread);
                    break;
            }
        }
    }

    /// <summary>A slot and what was noted before; the later one of a slot counts. Ways share what they have in common.</summary>
    sealed record Noted(int Slot, int Position, Noted? Before)
    {
        public int[] Places()
        {
            var places = new List<int>();
            for (var noted = this; noted is not null; noted = noted.Before)
            {
                while (places.Count <= noted.Slot)
                    places.Add(-1);
                if (places[noted.Slot] < 0)
                    places[noted.Slot] = noted.Position;
            }

            return [.. places];
        }
    }
}
