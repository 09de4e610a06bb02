using System.Net;
using System.Net.Http.Headers;
using System.Net.WebSockets;
using System.Text;

namespace Whistle.AcceptanceTests;

/// <summary>
/// As much of a browser as a session needs: its cookies, which it keeps by host and not by port, and where its requests come from.
/// </summary>
sealed class Browser : IDisposable
{
    readonly HttpClient _http;

    public Browser(CookieContainer? cookies = null)
    {
        Cookies = cookies ?? new CookieContainer();
        _http = new HttpClient(new HttpClientHandler { CookieContainer = Cookies, AllowAutoRedirect = false });
    }

    public CookieContainer Cookies { get; }

    public static async Task<Browser> LoggedInAsync(WhistleApp app, CancellationToken cancellation, CookieContainer? cookies = null)
    {
        var browser = new Browser(cookies);
        using var answer = await browser._http.GetAsync(app.LoginLink(), cancellation);
        answer.EnsureSuccessStatusCode();
        return browser;
    }

    /// <summary>Whether the dashboard is shown, and not the login.</summary>
    public async Task<bool> IsLoggedInAsync(Uri server, CancellationToken cancellation)
    {
        using var answer = await _http.GetAsync(server, cancellation);
        return answer.StatusCode == HttpStatusCode.OK;
    }

    /// <summary>As a form or a script of the server's own page sends it.</summary>
    public async Task<HttpStatusCode> PostAsync(Uri server, string path, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server, path))
        {
            Headers = { { "Origin", Origin(server) }, { "Sec-Fetch-Site", "same-origin" } },
        };
        using var answer = await _http.SendAsync(request, cancellation);
        return answer.StatusCode;
    }

    /// <summary>A page as it is shown.</summary>
    public async Task<(int Status, string Text, HttpResponseHeaders Headers)> OpenAsync(Uri address, CancellationToken cancellation)
    {
        using var answer = await _http.GetAsync(address, cancellation);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellation), answer.Headers);
    }

    /// <summary>A form of the server's own page.</summary>
    public async Task<(int Status, string Text, HttpResponseHeaders Headers)> SendAsync(
        Uri address, CancellationToken cancellation, params (string Name, string Value)[] fields)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, address)
        {
            Headers = { { "Origin", Origin(address) }, { "Sec-Fetch-Site", "same-origin" } },
            Content = new FormUrlEncodedContent(fields.Select(f => KeyValuePair.Create(f.Name, f.Value))),
        };
        using var answer = await _http.SendAsync(request, cancellation);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(cancellation), answer.Headers);
    }

    /// <summary>The connection of a live page, up to the server's yes.</summary>
    public async Task<ClientWebSocket> ConnectAsync(Uri server, CancellationToken cancellation)
    {
        var socket = new ClientWebSocket();
        socket.Options.Cookies = Cookies;
        socket.Options.SetRequestHeader("Origin", Origin(server));
        await socket.ConnectAsync(new UriBuilder(new Uri(server, "/_blazor")) { Scheme = "ws" }.Uri, cancellation);
        await socket.SendAsync(
            Encoding.UTF8.GetBytes("{\"protocol\":\"blazorpack\",\"version\":1}\u001e"), WebSocketMessageType.Text, true, cancellation);
        var answer = new byte[64];
        var result = await socket.ReceiveAsync(answer.AsMemory(), cancellation);
        return Encoding.UTF8.GetString(answer, 0, result.Count) == "{}\u001e" ? socket : throw new InvalidOperationException(
            Encoding.UTF8.GetString(answer, 0, result.Count));
    }

    /// <summary>Returns when the server has ended the connection.</summary>
    public static async Task UntilEndedAsync(ClientWebSocket socket, CancellationToken cancellation)
    {
        var buffer = new byte[4096];
        try
        {
            while ((await socket.ReceiveAsync(buffer.AsMemory(), cancellation)).MessageType != WebSocketMessageType.Close)
            {
                // Pings, until it ends.
            }
        }
        catch (WebSocketException)
        {
            // Cut off, which is what it is.
        }
    }

    public void Dispose() => _http.Dispose();

    static string Origin(Uri server) => server.GetLeftPart(UriPartial.Authority);
}
