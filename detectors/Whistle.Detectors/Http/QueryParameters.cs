using System.Globalization;
using System.Text.RegularExpressions;

using Microsoft.AspNetCore.Http;

using Whistle.PromQL;
using Whistle.State.Memory;
using Whistle.Telemetry;

namespace Whistle.Detectors.Http;

/// <summary>A parameter is missing or cannot be read: answered as <c>bad_data</c>.</summary>
sealed class BadParameterException(string message) : Exception(message);

/// <summary>Parameters from the query string and, for POST, from the form as well, as Prometheus takes them.</summary>
sealed partial class QueryParameters(HttpRequest request, IFormCollection? form)
{
    /// <summary>What the answer may hold, until it is written.</summary>
    public ByteShare? Memory { get; init; }

    static readonly TimeSpan LongestTimeout = TimeSpan.FromMinutes(2);

    /// <summary>The name in the address <c>label/…/values</c>, as it stands there.</summary>
    public string LabelName => request.RouteValues["name"] as string ?? "";

    public static async ValueTask<QueryParameters> ReadAsync(HttpRequest request, ByteShare? memory, CancellationToken cancellation)
    {
        try
        {
            return new(request, request.HasFormContentType ? await request.ReadFormAsync(cancellation) : null) { Memory = memory };
        }
        catch (Exception e) when (e is InvalidDataException or BadHttpRequestException)
        {
            throw new BadParameterException($"the form cannot be read: {e.Message}");
        }
    }

    /// <summary>The first value, of the form before the query string.</summary>
    public string? this[string name] => All(name) is [var first, ..] ? first : null;

    public IReadOnlyList<string> All(string name) =>
    [
        .. (form is not null && form.TryGetValue(name, out var sent) ? sent : default).OfType<string>(),
        .. request.Query[name].OfType<string>(),
    ];

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

        if (IsNumber(text, out var seconds) && Math.Abs(seconds) < 1e12)
            return (long)Math.Round(seconds * 1000);
        return Rfc3339().IsMatch(text) && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, out var instant)
            ? instant.ToUnixTimeMilliseconds()
            : throw new BadParameterException($"invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp; "
                + "give unix seconds or RFC 3339, as in 2026-01-31T12:00:00Z");
    }

    /// <summary>A duration from seconds or Prometheus notation.</summary>
    public TimeSpan Duration(string name)
    {
        var text = Required(name);
        if (IsNumber(text, out var seconds) && Math.Abs(seconds) < 1e9)
            return TimeSpan.FromSeconds(seconds);
        return Durations.TryParse(text, out var milliseconds)
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw new BadParameterException(
                $"invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration; write it like 15, 0.5, 30s or 1h30m");
    }

    public TimeSpan Timeout()
    {
        if (this["timeout"] is null or "")
            return LongestTimeout;
        var asked = Duration("timeout");
        return asked < TimeSpan.Zero ? TimeSpan.Zero : asked < LongestTimeout ? asked : LongestTimeout;
    }

    /// <summary>How old a sample may be to count as current; null leaves that to the server, as do zero and what is below.</summary>
    public TimeSpan? Lookback()
    {
        if (this["lookback_delta"] is null or "")
            return null;
        var lookback = Duration("lookback_delta");
        return lookback > TimeSpan.Zero ? lookback : null;
    }

    /// <summary>The most items that are wanted; where it is missing or 0, no limit but the server's.</summary>
    public int Limit() => WholeNumber("limit") switch
    {
        < 0 => throw new BadParameterException("invalid parameter \"limit\": limit must be non-negative; leave it out for no limit"),
        null or 0 => int.MaxValue,
        { } limit => limit,
    };

    public int? WholeNumber(string name)
    {
        if (this[name] is not { Length: > 0 } text)
            return null;
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new BadParameterException($"invalid parameter \"{name}\": \"{text}\" is not a whole number");
    }

    /// <summary>A yes or no; no where it is missing.</summary>
    public bool Flag(string name) => this[name] switch
    {
        "1" or "t" or "T" or "true" or "True" or "TRUE" => true,
        null or "" or "0" or "f" or "F" or "false" or "False" or "FALSE" => false,
        var text => throw new BadParameterException($"invalid parameter \"{name}\": \"{text}\" is neither true nor false"),
    };

    /// <summary>The selectors of every <c>match[]</c>.</summary>
    public IReadOnlyList<IReadOnlyList<LabelMatcher>> Matches() => [.. All("match[]").Select(Selector)];

    static IReadOnlyList<LabelMatcher> Selector(string text)
    {
        try
        {
            return Parser.Parse(text) is VectorSelector { Shift: { At: null, Offset: null } } selector
                ? selector.Matchers
                : throw new BadParameterException(
                    $"invalid parameter \"match[]\": \"{text}\" is not a selector; write it like up or {{job=\"node\"}}");
        }
        catch (PromQLException e)
        {
            throw new BadParameterException($"invalid parameter \"match[]\": {e.Message}");
        }
    }

    static bool IsNumber(string text, out double number) => double.TryParse(
        text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture,
        out number);

    [GeneratedRegex(@"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)\z", RegexOptions.CultureInvariant)]
    private static partial Regex Rfc3339();
}
