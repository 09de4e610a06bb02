using System.Security.Cryptography;
using System.Text;

using Microsoft.Extensions.Logging;

namespace Whistle.Detectors.Http;

/// <summary>
/// Logs faults of which callers learn no more than a reference. The same fault has the same one, and is logged once a minute: while the
/// state cannot be used, every request meets it.
/// </summary>
public sealed class FaultReferences(TimeProvider time, ILogger<FaultReferences> logger)
{
    const int Most = 100;

    static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    readonly Lock _gate = new();
    readonly Dictionary<string, long> _logged = [];

    /// <returns>The reference.</returns>
    public string Log(Exception fault, string method, string path)
    {
        var what = Encoding.UTF8.GetBytes($"{fault.GetType()} {fault.Message}");
        var reference = "fault-" + Convert.ToHexStringLower(SHA256.HashData(what).AsSpan(0, 4));
        if (IsDue(reference))
            logger.RequestFaulted(fault, reference, method, path);
        return reference;
    }

    bool IsDue(string reference)
    {
        lock (_gate)
        {
            if (_logged.TryGetValue(reference, out var last) && time.GetElapsedTime(last) < Pause)
                return false;
            if (_logged.Count >= Most)
                _logged.Clear();
            _logged[reference] = time.GetTimestamp();
            return true;
        }
    }
}
