using Microsoft.AspNetCore.Components;

using Whistle.Web.Text;

namespace Whistle.Web.Live;

/// <summary>A page over the current snapshot. With each new one its parameters are set again.</summary>
public abstract class LivePage : ComponentBase
{
    [CascadingParameter]
    public required FleetSnapshot Snapshot { get; set; }

    protected DateTimeOffset Now => Snapshot.Now;

    /// <summary>A sentence of the server's with its times as the pages write them.</summary>
    protected string Prose(string? text) => Quantity.Prose(text, Now);
}
