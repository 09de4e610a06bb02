using System.Net;

namespace Whistle.Web.Acts;

/// <summary>From where a page was opened: over its connection, acts come without an address.</summary>
sealed class Visitor
{
    /// <summary>Null where it is not known.</summary>
    public IPAddress? From { get; set; }
}
