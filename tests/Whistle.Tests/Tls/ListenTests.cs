using Xunit;

namespace Whistle.Tests.Tls;

/// <summary>Where a server may listen.</summary>
public sealed class ListenTests
{
    [Theory]
    [InlineData("http://127.0.0.1:9480", true)]
    [InlineData("http://[::1]:9480", true)]
    [InlineData("https://0.0.0.0:9443", true)]
    [InlineData("http://0.0.0.0:9480", false)]
    [InlineData("http://[::]:9480", false)]
    [InlineData("http://192.0.2.1:9480", false)]
    public void Beyond_the_loopback_nothing_is_said_without_TLS(string address, bool isAllowed)
    {
        foreach (var options in new WhistleOptions[]
        {
            new() { Listen = [new(address)] }, new() { ListenForAgents = [new(address)] }, new() { ListenForPeople = [new(address)] },
        })
        {
            Assert.Equal(!isAllowed, options.Errors().Any(e => e.Reason.Contains("would show tokens", StringComparison.Ordinal)));
        }
    }
}
