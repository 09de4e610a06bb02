using Whistle.Agent.Linux;

namespace Whistle.Agent.Sources;

/// <param name="Device">What is mounted.</param>
/// <param name="Point">Where, as the host names it.</param>
/// <param name="Type">The kind of file system.</param>
/// <param name="ReadOnly">Mounted read-only.</param>
/// <param name="Path">Where the agent finds it.</param>
sealed record Mount(string Device, string Point, string Type, bool ReadOnly, string Path)
{
    public bool IsRemote => Type.StartsWith("nfs", StringComparison.Ordinal) || Type.StartsWith("fuse", StringComparison.Ordinal)
        || Type is "cifs" or "smb3" or "ceph" or "9p" or "glusterfs" or "lustre" or "afs";
}

/// <summary>
/// Asks mounts for their usage without ever hanging with them: a call into a lost NFS server returns only when the
/// server does. The calls run on a thread of their own; one that does not return in time leaves that thread to its
/// mount, which then counts as failed, unasked, until the call has returned. The others go on with a new thread.
/// </summary>
/// <param name="ask">The call; it may hang and it may throw.</param>
/// <param name="patience">What one mount may take.</param>
/// <param name="budget">What all mounts together may take; the rest is asked next time, and counts as failed now.</param>
sealed class MountProbe(Func<string, Usage> ask, TimeSpan patience, TimeSpan budget)
{
    readonly Lock _lock = new();
    readonly HashSet<string> _stuck = [];

    // Long enough for a host under heavy load, short enough that a mount which begins to hang costs no default tick.
    public static MountProbe OfHost() => new(Native.FileSystemUsage, patience: TimeSpan.FromSeconds(2), budget: TimeSpan.FromSeconds(6));

    /// <summary>The usage of each mount, null where it failed, hangs or could not be asked in time.</summary>
    public IReadOnlyList<(Mount Mount, Usage? Usage)> Ask(IReadOnlyList<Mount> mounts)
    {
        // Local ones first, so that a dead server never costs the view on the host's own disks.
        var order = mounts.OrderBy(mount => mount.IsRemote).ToArray();
        var answers = new (Mount, Usage?)[order.Length];
        for (var i = 0; i < order.Length; i++)
            answers[i] = (order[i], null);
        var left = budget;
        for (var next = 0; next < order.Length && left > TimeSpan.Zero; left -= patience)
        {
            var run = new Run(this, order, next);
            run.Start();
            next = run.Wait(patience, answers);
        }

        return answers;
    }

    bool IsStuck(string path)
    {
        lock (_lock)
            return _stuck.Contains(path);
    }

    /// <summary>One thread's walk over the mounts, until the end or until it is left with a mount that hangs.</summary>
    sealed class Run(MountProbe probe, Mount[] mounts, int first)
    {
        // An object, not a Lock, because it is waited on and pulsed at every step.
        readonly object _gate = new();
        readonly Usage?[] _usages = new Usage?[mounts.Length];
        int _current;
        bool _abandoned;

        public void Start()
        {
            _current = first;
            new Thread(Walk, maxStackSize: 256 << 10) { IsBackground = true, Name = "mounts" }.Start();
        }

        /// <summary>Takes the answers over; returns the index to go on with.</summary>
        public int Wait(TimeSpan patience, (Mount, Usage?)[] answers)
        {
            lock (_gate)
            {
                while (!_abandoned && _current < mounts.Length)
                {
                    var seen = _current;
                    _abandoned = !Monitor.Wait(_gate, patience) && _current == seen;
                }

                for (var i = first; i < _current; i++)
                    answers[i] = (mounts[i], _usages[i]);
                if (!_abandoned)
                    return _current;
                probe.SetStuck(mounts[_current].Path, true);
                return _current + 1;
            }
        }

        void Walk()
        {
            for (var next = first; next < mounts.Length; next++)
            {
                var path = mounts[next].Path;
                var usage = probe.IsStuck(path) ? null : AskOne(path);
                lock (_gate)
                {
                    if (_abandoned)
                    {
                        probe.SetStuck(path, false);
                        return;
                    }

                    _usages[next] = usage;
                    _current = next + 1;
                    Monitor.Pulse(_gate);
                }
            }
        }

        Usage? AskOne(string path)
        {
            try
            {
                return probe.Call(path);
            }
            catch (Exception)
            {
                // Whatever it is, the mount did not answer; node_filesystem_device_error says so.
                return null;
            }
        }
    }

    Usage Call(string path) => ask(path);

    void SetStuck(string path, bool stuck)
    {
        lock (_lock)
        {
            if (stuck)
                _stuck.Add(path);
            else
                _stuck.Remove(path);
        }
    }
}
