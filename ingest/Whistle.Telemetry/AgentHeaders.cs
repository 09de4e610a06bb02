namespace Whistle.Telemetry;

/// <summary>Headers between an agent and the server, beside those of remote-write.</summary>
public static class AgentHeaders
{
    /// <summary>Of a request: the agent's clock as it sends, in milliseconds since 1970 UTC.</summary>
    public const string Clock = "Whistle-Clock";

    /// <summary>Of an answer: the agent shall renew its credential now, by <c>POST /agent/v1/renew</c>.</summary>
    public const string Renew = "Whistle-Renew-Credential";

    /// <summary>What an agent calls itself, before its version.</summary>
    public const string Product = "whistle-agent/";
}
