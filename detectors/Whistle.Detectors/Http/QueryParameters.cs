using System.Globalization;

using Microsoft.AspNetCore.Http;

using Whistle.PromQL;

namespace Whistle.Detectors.Http;

/// <summary>A parameter is missing or cannot be read: answered as <c>bad_data</c>.</summary>
sealed class BadParameterException(string message) : Exception(message);

/// <summary>Parameters from the query string and, for POST, from the form as well, as Prometheus takes them.</summary>
sealed class QueryParameters(IQueryCollection query, IFormCollection? form)
{
    static readonly TimeSpan LongestTimeout = TimeSpan.FromMinutes(2);

    public static async ValueTask<QueryParameters> ReadAsync(HttpRequest request, CancellationToken cancellation)
    {
        try
        {
            return new(request.Query, request.HasFormContentType ? await request.ReadFormAsync(cancellation) : null);
        }
        catch (Exception e) when (e is InvalidDataException or BadHttpRequestException)
        {
            throw new BadParameterException($"the form cannot be read: {e.Message}");
        }
    }

    public string? this[string name] =>
        form is not null && form.TryGetValue(name, out var sent) ? sent[0] : query.TryGetValue(name, out var asked) ? asked[0] : null;

    public string Required(string name) => this[name] is { Length: > 0 } value
        ? value
        : throw new BadParameterException($"invalid parameter \"{name}\": it is missing");

    /// <summary>Milliseconds since 1970 UTC, from unix seconds or RFC 3339.</summary>
    public long Time(string name, DateTimeOffset? otherwise = null)
    {
        if (this[name] is not { Length: > 0 } text)
        {
            return otherwise?.ToUnixTimeMilliseconds()
                ?? throw new BadParameterException($"invalid parameter \"{name}\": it is missing; give unix seconds or RFC 3339");
        }

        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && Math.Abs(seconds) < 1e12)
            return (long)Math.Round(seconds * 1000);
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var instant) && text.Contains('T')
            ? instant.ToUnixTimeMilliseconds()
            : throw new BadParameterException($"invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp");
    }

    /// <summary>A duration from seconds or Prometheus notation.</summary>
    public TimeSpan Duration(string name)
    {
        var text = Required(name);
        if (double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds) && Math.Abs(seconds) < 1e9)
            return TimeSpan.FromSeconds(seconds);
        return Durations.TryParse(text, out var milliseconds)
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new BadParameterException($"invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration");
    }

    public TimeSpan Timeout()
    {
        if (this["timeout"] is null)
            return LongestTimeout;
        var asked = Duration("timeout");
        return asked < LongestTimeout ? asked : LongestTimeout;
    }
}
