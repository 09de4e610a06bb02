namespace Whistle.Access;

/// <summary>A refusal in a line of text, where none of Whistle's own API answers.</summary>
static class PlainRefusal
{
    public const string Type = "text/plain; charset=utf-8";

    public static Task WriteAsync(HttpContext context, int status, string reason)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = Type;
        return context.Response.WriteAsync(reason + "\n");
    }
}
