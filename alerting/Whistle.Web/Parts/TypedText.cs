namespace Whistle.Web.Parts;

/// <summary>
/// The text of a filter that the address follows. What comes back from the address is behind what is typed, so the echo of what was sent
/// must not take letters away that were typed since.
/// </summary>
sealed class TypedText
{
    readonly Queue<string> _sent = [];
    string? _seen;

    public string Text { get; private set; } = "";

    public void Type(string text)
    {
        Text = text;
        _sent.Enqueue(text);
    }

    /// <summary>What the address says: an echo, or another page of the history.</summary>
    public void Take(string? text)
    {
        text ??= "";
        if (text == _seen)
            return;
        _seen = text;
        if (!_sent.Contains(text))
        {
            _sent.Clear();
            Text = text;
            return;
        }

        while (_sent.Dequeue() != text)
            continue;
    }
}
