using MudBlazor;

using Whistle.Web.Parts;

namespace Whistle.Web.Acts;

/// <summary>Asks a person in a dialog, does what they confirm, and says that it is done.</summary>
sealed class ActDialogs(IDialogService dialogs)
{
    static readonly DialogOptions Options =
        new() { CloseOnEscapeKey = true, BackdropClick = true, MaxWidth = MaxWidth.Small, FullWidth = true };

    /// <summary>What was done, in words. The library's own notices bring style elements, which the content policy refuses.</summary>
    public event Action<string>? Done;

    public async Task AskAsync(ActRequest request)
    {
        var dialog = await dialogs.ShowAsync<ActDialog>(
            request.Title, new DialogParameters<ActDialog> { { d => d.Request, request } }, Options);
        if (await dialog.Result is { Canceled: false })
            Done?.Invoke(request.Done);
    }

    public Task HelpAsync() => dialogs.ShowAsync<HelpDialog>("Help", new DialogParameters(), Options);
}
