using System.Net;
using System.Net.Sockets;

namespace Whistle.Inventory;

/// <summary>As what whoever calls is counted: an address of IPv4, or the network of IPv6 that one customer of a provider gets.</summary>
public static class CallerNetwork
{
    const int NetworkBytes = 8;

    /// <summary>Empty where there is no address.</summary>
    public static string Of(IPAddress? from) => from switch
    {
        null => "",
        { IsIPv4MappedToIPv6: true } => $"{from.MapToIPv4()}",
        { AddressFamily: AddressFamily.InterNetworkV6 } =>
            $"{new IPAddress([.. from.GetAddressBytes().AsSpan(0, NetworkBytes), .. new byte[NetworkBytes]])}/{NetworkBytes * 8}",
        _ => $"{from}",
    };

    /// <summary>As it was where it is no address.</summary>
    public static string Of(string from) => IPAddress.TryParse(from, out var address) ? Of(address) : from;
}
