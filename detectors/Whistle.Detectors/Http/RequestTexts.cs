using System.Text.Json;

using Microsoft.AspNetCore.Http;

namespace Whistle.Detectors.Http;

/// <summary>
/// The texts in a request: reasons, notes and names are kept in the state for ever, and on a full disk in the room that is held back for
/// it, so they are short; and they are shown on pages and in terminals, so they have no control characters.
/// </summary>
static class RequestTexts
{
    public const int Longest = 4_000;

    public static async ValueTask<object?> CheckAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        foreach (var argument in context.Arguments)
        {
            if (argument is not null && Mistake(argument) is { } mistake)
                return WhistleApi.BadRequest(mistake);
        }

        return await next(context);
    }

    static string? Mistake(object argument)
    {
        if (argument is string part)
            return Mistake("the address", part);
        if (argument is HttpContext || argument.GetType().Namespace?.StartsWith(nameof(Whistle), StringComparison.Ordinal) is not true)
            return null;
        return argument.GetType().GetProperties().Where(p => p.PropertyType == typeof(string) && p.GetIndexParameters().Length == 0)
            .Select(p => Mistake(JsonNamingPolicy.CamelCase.ConvertName(p.Name), (string?)p.GetValue(argument)))
            .FirstOrDefault(m => m is not null);
    }

    static string? Mistake(string name, string? text) =>
        text is null ? null
        : text.Length > Longest ? $"{name}: it has {text.Length} characters; at most {Longest} are accepted."
        : text.Any(c => char.IsControl(c) && c is not ('\n' or '\r' or '\t')) ? $"{name}: it has control characters; leave them out."
        : null;
}
