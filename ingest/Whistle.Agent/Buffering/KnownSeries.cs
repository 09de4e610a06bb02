using System.Text;

using Whistle.Agent.Reporting;
using Whistle.Telemetry;

namespace Whistle.Agent.Buffering;

/// <summary>
/// Keeps the series of the last report in a file, so that what vanished while the agent was down gets its staleness
/// marker too. Written when the set changes, after the report is in the buffer. A file that is lost or damaged costs
/// only those markers. Not thread-safe.
/// </summary>
sealed class KnownSeries(string folder, HostReport report)
{
    readonly string _path = Path.Join(folder, "series");
    long _saved;

    public void Load()
    {
        try
        {
            var frame = File.ReadAllBytes(_path);
            if (Frame.IsIntact(frame))
                Restore(new BinaryReader(new MemoryStream(frame, Frame.HeaderLength, frame.Length - Frame.HeaderLength), Encoding.UTF8));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The first start, or a disk that fails, which the buffer logs.
        }

        _saved = report.Changes;
    }

    public void Save()
    {
        if (report.Changes == _saved || !report.IsAtRest)
            return;
        try
        {
            // Renamed into its place, so that a crash leaves the old file or the new one.
            File.WriteAllBytes(_path + ".new", Frame.Write(0, 0, Content()));
            File.Move(_path + ".new", _path, overwrite: true);
            _saved = report.Changes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Tried again after the next report.
        }
    }

    byte[] Content()
    {
        using var content = new MemoryStream();
        using var writer = new BinaryWriter(content, Encoding.UTF8);
        foreach (var (name, set) in report.Sets)
        {
            writer.Write(name);
            writer.Write(set.Count);
            foreach (var (metric, labels) in set.Known)
            {
                writer.Write(metric);
                writer.Write(labels.Length);
                foreach (var label in labels)
                {
                    writer.Write(label.Name);
                    writer.Write(label.Value);
                }
            }
        }

        writer.Flush();
        return content.ToArray();
    }

    // Each set is read whole whether or not this version of the agent still has it.
    void Restore(BinaryReader reader)
    {
        var sets = report.Sets.ToDictionary();
        while (reader.BaseStream.Position < reader.BaseStream.Length)
        {
            var set = sets.GetValueOrDefault(reader.ReadString());
            for (var left = reader.ReadInt32(); left > 0; left--)
            {
                var metric = reader.ReadString();
                var labels = new Label[reader.ReadInt32()];
                for (var i = 0; i < labels.Length; i++)
                    labels[i] = new Label(reader.ReadString(), reader.ReadString());
                set?.Restore(metric, labels);
            }
        }
    }
}
