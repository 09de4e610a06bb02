using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Whistle.Access;

static class BoundAddresses
{
    /// <summary>All that the server listens on once it does, with real ports, in the order of the options.</summary>
    public static IReadOnlyList<Uri> Of(IServiceProvider services) =>
        [.. services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(a => new Uri(a))];
}
