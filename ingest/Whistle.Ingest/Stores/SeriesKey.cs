using System.IO.Hashing;
using System.Text;

using Whistle.Telemetry;

namespace Whistle.Ingest.Stores;

/// <summary>A hash of a series' labels, the same in every process.</summary>
static class SeriesKey
{
    public static ulong Of(Labels labels) => Of(LabelsJson.Write(labels));

    /// <param name="json">The labels as <see cref="LabelsJson"/> writes them.</param>
    public static ulong Of(string json) => XxHash3.HashToUInt64(Encoding.UTF8.GetBytes(json));
}
