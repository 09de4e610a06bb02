using System.Buffers.Binary;

namespace Whistle.Actions.Files;

enum WalkStep
{
    File,

    /// <summary>A folder was entered.</summary>
    Enter,

    /// <summary>All of a folder was seen; the root's is the last step.</summary>
    Leave,

    /// <summary>A mount, which is not entered.</summary>
    Mount,

    /// <summary>A folder below the deepest level that is entered.</summary>
    TooDeep,

    /// <summary>
    /// A name, or the rest of a folder, that could not be read or was swapped during the walk; <see cref="TreeWalk.Error"/> says why.
    /// </summary>
    Unreadable,

    /// <summary>A link, a device, a socket or a pipe.</summary>
    Other,
    End,
}

/// <summary>
/// Walks a tree one name at a time, relative to open folders only: it follows no link and enters no mount, whatever is swapped while it
/// walks. At most <see cref="MostOpen"/> folders are open; one higher up is opened again from below by <c>..</c> and must be the one it
/// was. Memory is bounded by the depth. The current file may be removed. Not thread-safe.
/// </summary>
sealed unsafe class TreeWalk : IDisposable
{
    public const int MostOpen = 24;
    public const int Deepest = 4096;

    const int BufferLength = 32 << 10;
    const int NameAt = 19;

    readonly List<Level> _levels = [];
    readonly Stack<byte[]> _buffers = new();
    readonly FileStat _root;
    readonly Action<string>? _betweenLookAndAct;
    byte[] _path = new byte[4096];
    int _pathLength;
    int _depth = -1;
    bool _leave;
    bool _ending;

    /// <param name="folder">An open folder, which the walk owns and closes.</param>
    public TreeWalk(int folder, FileStat root, Action<string>? betweenLookAndAct = null)
    {
        _root = root;
        _betweenLookAndAct = betweenLookAndAct;
        Push(folder, root);
    }

    /// <summary>Of the current name.</summary>
    public FileStat Stat { get; private set; }

    /// <summary>Why the last step was <see cref="WalkStep.Unreadable"/>.</summary>
    public string Error { get; private set; } = "";

    /// <summary>The root's own is 0; that of a file is its folder's.</summary>
    public int Depth => _depth;

    /// <summary>Why no name can be removed from the folder that is current; 0 or an errno.</summary>
    public int FolderLock => Current.Lock ??= Current.Stat.Fixed ? Native.NotPermitted : Native.MayWrite(Current.Folder);

    /// <summary>The caller's own count for the folder that is current, kept until it is left.</summary>
    public ref long FolderTotal => ref _levels[_depth].Total;

    /// <summary>Adds to the count of the folder above the current one, which is not the root.</summary>
    public void AddToParent(long count) => _levels[_depth - 1].Total += count;

    /// <summary>The current name; empty at <see cref="WalkStep.Enter"/> and <see cref="WalkStep.Leave"/>.</summary>
    public ReadOnlySpan<byte> Name => Current.Name == 0 ? default : Current.Buffer.AsSpan(Current.Name, Current.NameLength);

    Level Current => _levels[_depth];

    /// <summary>The path below the root as bytes, without a slash in front.</summary>
    public byte[] Path()
    {
        var folder = _path.AsSpan(0, _pathLength);
        return Name.IsEmpty ? folder.ToArray() : [.. folder, .. folder.IsEmpty ? ""u8 : "/"u8, .. Name];
    }

    /// <summary>Looks at nothing more: the folders that are open are left, one a step.</summary>
    public void WindUp() => _ending = true;

    public WalkStep Next()
    {
        if (_leave)
            Pop();
        while (_depth >= 0)
        {
            if (_ending)
                return Leave();
            var level = Current;
            if (level.Position >= level.Filled && !Fill(level))
                return Error.Length > 0 ? WalkStep.Unreadable : Leave();
            Take(level);
            if (!IsDots(Name))
                return Look(level);
        }

        return WalkStep.End;
    }

    /// <summary>Removes the current name where it is still the file that was seen. 0 or an errno.</summary>
    public int RemoveFile()
    {
        var level = Current;
        fixed (byte* name = &level.Buffer![level.Name])
        {
            _betweenLookAndAct?.Invoke(FileName.Escape(Name));
            if (Native.Stat(level.Folder, name, out var now) is var error and not 0)
                return error;
            // Whoever put another file under this name wants to keep it.
            if (now.Identity != Stat.Identity || !now.IsFile || now.Changed != Stat.Changed)
                return Native.NoEntry;
            return Native.Unlink(level.Folder, name);
        }
    }

    public void Dispose()
    {
        while (_depth >= 0)
            Close(_levels[_depth--]);
    }

    WalkStep Leave()
    {
        Current.Name = 0;
        Stat = Current.Stat;
        _leave = true;
        return WalkStep.Leave;
    }

    WalkStep Look(Level level)
    {
        var kind = level.Buffer![level.Name - 1];
        // What the folder itself calls a link, a device, a socket or a pipe is not worth a look; 0 is a file system that does not say.
        if (kind is not (0 or 4 or 8))
            return WalkStep.Other;
        FileStat stat;
        fixed (byte* name = &level.Buffer[level.Name])
        {
            if (Native.Stat(level.Folder, name, out stat) is var error and not 0)
                return Unreadable(Native.Text(error));
        }

        Stat = stat;
        // A file can be one too.
        if (!stat.SameMount(_root))
            return WalkStep.Mount;
        if (!stat.IsFolder)
            return stat.IsFile ? WalkStep.File : WalkStep.Other;
        return _depth + 1 >= Deepest ? WalkStep.TooDeep : Enter(level, stat);
    }

    WalkStep Enter(Level level, FileStat seen)
    {
        _betweenLookAndAct?.Invoke(FileName.Escape(Name));
        int folder;
        fixed (byte* name = &level.Buffer![level.Name])
        {
            if (Native.OpenFolder(level.Folder, name, out folder) is var error and not 0)
                return Unreadable(Native.Text(error));
        }

        if (Native.Stat(folder, out var opened) != 0 || !opened.SameFolder(seen) || opened.Mount != _root.Mount)
        {
            Native.Close(folder);
            return seen.Mount == 0 && opened.Mount != _root.Mount
                ? WalkStep.Mount
                : Unreadable("It was swapped while it was being opened.");
        }

        AppendToPath(Name);
        Push(folder, opened);
        return WalkStep.Enter;
    }

    WalkStep Unreadable(string error)
    {
        Error = error;
        return WalkStep.Unreadable;
    }

    void AppendToPath(ReadOnlySpan<byte> name)
    {
        if (_path.Length < _pathLength + name.Length + 1)
            Array.Resize(ref _path, _path.Length * 2);
        if (_pathLength > 0)
            _path[_pathLength++] = (byte)'/';
        name.CopyTo(_path.AsSpan(_pathLength));
        _pathLength += name.Length;
    }

    void Push(int folder, FileStat stat)
    {
        if (_levels.Count == ++_depth)
            _levels.Add(new Level());
        Current.Reset(folder, stat, _pathLength);
        if (_depth >= MostOpen)
            Close(_levels[_depth - MostOpen]);
    }

    void Pop()
    {
        _leave = false;
        var left = _levels[_depth--];
        if (_depth >= 0)
            Reopen(Current, left.Folder);
        Close(left);
    }

    void Reopen(Level level, int below)
    {
        _pathLength = level.PathLength;
        level.Name = 0;
        if (level.Folder >= 0 || _ending)
            return;
        fixed (byte* up = "..\0"u8)
        {
            if (Native.OpenFolder(below, up, out var folder) == 0)
                level.Folder = folder;
        }

        if (level.Folder >= 0 && Native.Stat(level.Folder, out var stat) == 0 && stat.SameFolder(level.Stat)
            && Native.Seek(level.Folder, level.Resume) == 0)
            return;
        // The folder below was moved elsewhere during the walk, so there is no safe way back to the rest of this one.
        Native.Close(level.Folder);
        level.Folder = -1;
        level.Lost = true;
    }

    bool Fill(Level level)
    {
        Error = "";
        level.Name = 0;
        if (level.Ended)
            return false;
        level.Buffer ??= _buffers.TryPop(out var buffer) ? buffer : new byte[BufferLength];
        var length = 0;
        var error = level.Lost ? -1 : Native.ReadFolder(level.Folder, level.Buffer, out length);
        (level.Position, level.Filled) = (0, length);
        level.Ended = error != 0 || length == 0;
        if (error != 0)
            Error = level.Lost ? "A folder above was moved while the walk was below it." : Native.Text(error);
        return length > 0;
    }

    static void Take(Level level)
    {
        var entry = level.Buffer.AsSpan(level.Position);
        level.Name = level.Position + NameAt;
        level.Resume = BinaryPrimitives.ReadInt64LittleEndian(entry[8..]);
        level.Position += BinaryPrimitives.ReadUInt16LittleEndian(entry[16..]);
        level.NameLength = entry[NameAt..].IndexOf((byte)0);
    }

    static bool IsDots(ReadOnlySpan<byte> name) => name.SequenceEqual("."u8) || name.SequenceEqual(".."u8);

    void Close(Level level)
    {
        Native.Close(level.Folder);
        level.Folder = -1;
        if (level.Buffer is not null)
            _buffers.Push(level.Buffer);
        level.Buffer = null;
        level.Position = level.Filled = level.Name = 0;
    }

    sealed class Level
    {
        public int Folder;
        public FileStat Stat;
        public byte[]? Buffer;
        public int Position;
        public int Filled;

        // Where the current name lies in the buffer; 0 where there is none.
        public int Name;
        public int NameLength;

        // The folder's own mark behind the last name that was taken.
        public long Resume;
        public int PathLength;
        public long Total;
        public bool Ended;
        public bool Lost;
        public int? Lock;

        public void Reset(int folder, FileStat stat, int pathLength)
        {
            (Folder, Stat, PathLength) = (folder, stat, pathLength);
            (Position, Filled, Name, NameLength, Resume, Total, Ended, Lost, Lock) = (0, 0, 0, 0, 0, 0, false, false, null);
        }
    }
}
