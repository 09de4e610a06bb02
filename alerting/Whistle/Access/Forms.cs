using System.Text.Encodings.Web;

using Microsoft.Extensions.Primitives;

namespace Whistle.Access;

/// <summary>The plain forms of pages that work without scripts: their fields, and what somebody sent.</summary>
static class Forms
{
    const string MistakeId = "mistake";

    /// <summary>What was sent; null where it is no form.</summary>
    public static async Task<IFormCollection?> ReadAsync(HttpContext context)
    {
        if (!context.Request.HasFormContentType)
            return null;
        try
        {
            return await context.Request.ReadFormAsync(context.RequestAborted);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            return null;
        }
    }

    /// <summary>One value; empty where there is none, or several.</summary>
    public static string One(this IFormCollection form, string name) =>
        form.TryGetValue(name, out var values) && values is [{ } one] ? one : StringValues.Empty.ToString();

    /// <summary>Says next to a form why it was not accepted; nothing where there is nothing to say.</summary>
    public static string Mistake(string? mistake) =>
        mistake is null ? "" : $"""<p class="refusal" role="alert" id="{MistakeId}">{Text(mistake)}</p>""";

    /// <param name="name">Of the field.</param>
    /// <param name="label">Text.</param>
    /// <param name="attributes">HTML.</param>
    /// <param name="mistake">Of the form; null where there is none.</param>
    /// <param name="hint">Text under the field.</param>
    public static string Field(string name, string label, string attributes, string? mistake = null, string? hint = null)
    {
        var ids = string.Join(' ', (string?[])[mistake is null ? null : MistakeId, hint is null ? null : $"{name}-hint"]).Trim();
        var described = (ids.Length == 0 ? "" : $" aria-describedby=\"{ids}\"") + (mistake is null ? "" : " aria-invalid=\"true\"");
        var small = hint is null ? "" : $"<small class=\"hint\" id=\"{name}-hint\">{Text(hint)}</small>";
        return $"""<label class="field"><span>{Text(label)}</span><input name="{name}" {attributes}{described} required></label>{small}""";
    }

    /// <summary>Under which somebody logs in.</summary>
    public static string Name(string name, string? mistake, string more) => Field(
        "name", "Name",
        $"value=\"{Text(name)}\" autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\" maxlength=\"64\"{more}", mistake);

    public static string Hidden(string name, string value) => $"""<input type="hidden" name="{name}" value="{Text(value)}">""";

    public static string Password(string name, string label, string? mistake = null, bool isNew = false, string more = "") => Field(
        name, label, $"type=\"password\" autocomplete=\"{(isNew ? "new" : "current")}-password\"{more}", mistake);

    public static string Code(string label, string? mistake = null, string? hint = null, string name = "code") => Field(
        name, label,
        "autocomplete=\"one-time-code\" autocapitalize=\"characters\" spellcheck=\"false\" maxlength=\"40\" class=\"code\"", mistake, hint);

    public static string Button(string label, string more = "is-main") =>
        $"""<button type="submit" class="button {more}">{Text(label)}</button>""";

    public static string Text(string? text) => HtmlEncoder.Default.Encode(text ?? "");
}
