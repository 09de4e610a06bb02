using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;

namespace Whistle.AcceptanceTests;

/// <summary>npm's oidc-provider as a process on the loopback.</summary>
sealed class OidcProvider : IAsyncDisposable
{
    public const string Secret = "a secret of the client, for tests alone";

    readonly Process _process;
    readonly HttpClient _http;

    OidcProvider(Process process, Uri issuer) => (_process, Issuer, _http) = (process, issuer, new HttpClient { BaseAddress = issuer });

    public Uri Issuer { get; }

    public static async Task<OidcProvider> StartAsync(CancellationToken cancellation)
    {
        var start = new ProcessStartInfo("node", [Path.Combine(AppContext.BaseDirectory, "oidc", "provider.mjs")])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { ["WHISTLE_TEST_OIDC"] = Requirement.OidcProvider(), ["CLIENT_SECRET"] = Secret },
        };
        var process = Process.Start(start)!;
        // It warns of settings that are meant for tests only.
        process.BeginErrorReadLine();
        while (await process.StandardOutput.ReadLineAsync(cancellation) is { } line)
        {
            if (!line.StartsWith("http://", StringComparison.Ordinal))
                continue;
            return new(process, new Uri(line));
        }

        throw new InvalidOperationException("The provider ended before it listened.");
    }

    /// <summary>Who logs in next, and what is wrong with the tokens: none, expired, forged or unsigned.</summary>
    public async Task SetAsync(string account, string name, string[] groups, string fault = "none")
    {
        using var answer = await _http.PostAsJsonAsync("/test", new { account, name, groups, fault });
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>How often somebody without a session at the provider proved who they are.</summary>
    public async Task<int> ProofsAsync() => int.Parse(await _http.GetStringAsync("/proofs"), CultureInfo.InvariantCulture);

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _http.Dispose();
        _process.Dispose();
    }

    public async Task StopAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync();
    }
}
