using Microsoft.Win32.SafeHandles;

using Whistle.Agent.Linux;

namespace Whistle.Agent.Buffering;

/// <summary>Where a report lies in its segment.</summary>
readonly record struct FrameAt(long Offset, int Length, long Time, int Samples);

/// <summary>One file of frames, written at its end only. Not thread-safe.</summary>
sealed class Segment : IDisposable
{
    readonly SafeFileHandle _file;

    Segment(string path, SafeFileHandle file)
    {
        Path = path;
        _file = file;
    }

    public string Path { get; }

    /// <summary>Bytes up to the end of the last whole frame.</summary>
    public long Length { get; private set; }

    /// <summary>Frames that are neither sent nor dropped.</summary>
    public int Pending { get; set; }

    public static Segment Create(string path)
    {
        var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read);
        try
        {
            Native.SyncFolder(System.IO.Path.GetDirectoryName(path)!);
            return new Segment(path, file);
        }
        catch
        {
            file.Dispose();
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Opens what an earlier run left, and cuts off what follows the last whole frame.</summary>
    /// <param name="path">The file.</param>
    /// <param name="frames">The whole frames, in the order of their writing.</param>
    /// <param name="cut">The number of bytes that were cut off.</param>
    public static Segment Open(string path, out List<FrameAt> frames, out long cut)
    {
        var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.Read);
        var segment = new Segment(path, file);
        try
        {
            frames = segment.Scan();
            cut = RandomAccess.GetLength(file) - segment.Length;
            if (cut > 0)
            {
                RandomAccess.SetLength(file, segment.Length);
                RandomAccess.FlushToDisk(file);
            }

            segment.Pending = frames.Count;
            return segment;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Completes when the frame is on the disk; otherwise leaves the segment as it was.</summary>
    public FrameAt Append(ReadOnlySpan<byte> frame)
    {
        var offset = Length;
        try
        {
            RandomAccess.Write(_file, frame, offset);
            RandomAccess.FlushToDisk(_file);
        }
        catch
        {
            CutBack();
            throw;
        }

        Length += frame.Length;
        Pending++;
        return new FrameAt(offset, frame.Length, Frame.Time(frame), Frame.Samples(frame));
    }

    /// <summary>The payload, or null where the disk no longer gives what was written.</summary>
    public byte[]? Read(FrameAt at)
    {
        var frame = new byte[at.Length];
        try
        {
            if (!Fill(at.Offset, frame) || !Frame.IsIntact(frame))
                return null;
        }
        catch (IOException)
        {
            return null;
        }

        return frame[Frame.HeaderLength..];
    }

    /// <summary>Forgets every frame. Not synced: should the frames return after a crash, they are sent once more.</summary>
    public void Clear()
    {
        Length = 0;
        RandomAccess.SetLength(_file, 0);
    }

    public void Dispose() => _file.Dispose();

    void CutBack()
    {
        try
        {
            RandomAccess.SetLength(_file, Length);
        }
        catch (IOException)
        {
            // The next append writes over the torn frame; a crash before it leaves a tail that the next start cuts off.
        }
    }

    List<FrameAt> Scan()
    {
        var frames = new List<FrameAt>();
        var end = RandomAccess.GetLength(_file);
        var header = new byte[Frame.HeaderLength];
        while (Length + Frame.HeaderLength <= end && Fill(Length, header))
        {
            var payload = Frame.PayloadLength(header);
            if (payload == 0 || Length + Frame.HeaderLength + payload > end)
                break;
            var frame = new byte[Frame.HeaderLength + payload];
            if (!Fill(Length, frame) || !Frame.IsIntact(frame))
                break;
            frames.Add(new FrameAt(Length, frame.Length, Frame.Time(frame), Frame.Samples(frame)));
            Length += frame.Length;
        }

        return frames;
    }

    bool Fill(long offset, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var read = RandomAccess.Read(_file, buffer, offset);
            if (read == 0)
                return false;
            offset += read;
            buffer = buffer[read..];
        }

        return true;
    }
}
