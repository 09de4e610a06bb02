using Microsoft.AspNetCore.Http;

namespace Whistle.Inventory;

/// <summary>The <c>Authorization: Bearer</c> header, read alike wherever a request shows a token.</summary>
public static class Bearer
{
    const string Scheme = "Bearer ";

    /// <summary>The token; null where there is none, more than one, or something that no token can be.</summary>
    public static string? TokenOf(HttpRequest request)
    {
        if (request.Headers.Authorization is not [{ } header] || !header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return null;
        // Only ASCII spaces go. A no-break space is no space of HTTP: trimmed away, it
        // would be an empty token, which an empty secret matches.
        var token = header.AsSpan(Scheme.Length).Trim(' ');
        return token.IsEmpty || token.ContainsAnyExceptInRange('!', '~') ? null : token.ToString();
    }
}
