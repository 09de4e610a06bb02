using System.Net;
using System.Net.WebSockets;

using Whistle.Fixtures;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class SessionTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle").FullName;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task A_session_outlives_a_restart_and_ends_with_the_token_it_came_from()
    {
        using var browser = await LoginAsync();
        await using (var server = await InProcessServer.StartAsync(Cancellation, _folder))
            Assert.True(await browser.IsLoggedInAsync(server.App.Address, Cancellation));

        var token = await File.ReadAllTextAsync(Path.Combine(_folder, "token"), Cancellation);
        File.Delete(Path.Combine(_folder, "token"));
        await using (var server = await InProcessServer.StartAsync(Cancellation, _folder))
            Assert.False(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
        // Keys and list are as they were; it is the token that makes the difference.
        PrivateText.Write(Path.Combine(_folder, "token"), token);
        await using (var server = await InProcessServer.StartAsync(Cancellation, _folder))
            Assert.True(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
        PrivateText.Write(Path.Combine(_folder, "token"), token[..^2] + (token[^2] == 'A' ? "B" : "A"));
        await using (var server = await InProcessServer.StartAsync(Cancellation, _folder))
            Assert.False(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
    }

    [Fact]
    public async Task Logging_out_ends_the_session_for_every_copy_of_its_cookie_and_no_other_session()
    {
        using var browser = await LoginAsync();
        await using (var server = await InProcessServer.StartAsync(Cancellation, _folder))
        {
            using var other = await Browser.LoggedInAsync(server.App, Cancellation);
            using var copy = new Browser(Copy(browser.Cookies, server.App.Address));
            using var page = await browser.ConnectAsync(server.App.Address, Cancellation);
            using var othersPage = await other.ConnectAsync(server.App.Address, Cancellation);
            Assert.True(await copy.IsLoggedInAsync(server.App.Address, Cancellation));

            Assert.Equal(HttpStatusCode.SeeOther, await browser.PostAsync(server.App.Address, "/logout", Cancellation));
            await Browser.UntilEndedAsync(page, Cancellation);
            Assert.False(await browser.IsLoggedInAsync(server.App.Address, Cancellation));
            Assert.False(await copy.IsLoggedInAsync(server.App.Address, Cancellation));
            Assert.NotEqual(
                HttpStatusCode.OK, await copy.PostAsync(server.App.Address, "/_blazor/negotiate?negotiateVersion=1", Cancellation));
            Assert.True(await other.IsLoggedInAsync(server.App.Address, Cancellation));
            Assert.Equal(WebSocketState.Open, othersPage.State);

            // All that are left.
            Assert.Contains(
                "\"ended\":1",
                await (await server.Http.DeleteAsync("api/whistle/v1/sessions", Cancellation)).Content.ReadAsStringAsync(Cancellation),
                StringComparison.Ordinal);
            await Browser.UntilEndedAsync(othersPage, Cancellation);
            Assert.False(await other.IsLoggedInAsync(server.App.Address, Cancellation));
        }

        await using var restarted = await InProcessServer.StartAsync(Cancellation, _folder);
        Assert.False(await browser.IsLoggedInAsync(restarted.App.Address, Cancellation));
    }

    [Fact]
    public async Task Two_servers_on_one_host_do_not_end_each_others_sessions()
    {
        await using var one = await InProcessServer.StartAsync(Cancellation);
        await using var two = await InProcessServer.StartAsync(Cancellation);
        // One browser keeps the cookies of both, for it knows the host only.
        using var browser = await Browser.LoggedInAsync(one.App, Cancellation);
        using var same = await Browser.LoggedInAsync(two.App, Cancellation, browser.Cookies);

        Assert.True(await same.IsLoggedInAsync(one.App.Address, Cancellation));
        Assert.True(await same.IsLoggedInAsync(two.App.Address, Cancellation));
        Assert.Equal(browser.Cookies.Count, browser.Cookies.GetAllCookies().Select(c => c.Name).Distinct().Count());
        await same.PostAsync(two.App.Address, "/logout", Cancellation);
        Assert.True(await same.IsLoggedInAsync(one.App.Address, Cancellation));
        Assert.False(await same.IsLoggedInAsync(two.App.Address, Cancellation));
    }

    async Task<Browser> LoginAsync()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation, _folder);
        return await Browser.LoggedInAsync(server.App, Cancellation);
    }

    static CookieContainer Copy(CookieContainer cookies, Uri address)
    {
        var copy = new CookieContainer();
        copy.Add(address, cookies.GetCookies(address));
        return copy;
    }
}
