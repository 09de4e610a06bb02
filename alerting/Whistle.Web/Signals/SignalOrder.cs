namespace Whistle.Web.Signals;

/// <summary>
/// The order in which people read signals: what is wrong before what is not known, before what is about to be; the severe first.
/// </summary>
public static class SignalOrder
{
    /// <summary>Lower is worse. Both texts are taken in lower case, as the API writes them.</summary>
    public static int Rank(string state, string severity) => (10 * StateRank(state)) + SeverityRank(severity);

    static int StateRank(string state) => state switch
    {
        "firing" => 0,
        "unknown" => 1,
        "pending" => 2,
        _ => 3,
    };

    static int SeverityRank(string severity) => severity switch
    {
        "critical" => 0,
        "error" => 1,
        "warning" => 2,
        "info" => 3,
        _ => 4,
    };
}
