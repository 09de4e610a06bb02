using MudBlazor;

namespace Whistle.Web.Acts;

/// <summary>Asks a person in a dialog, does what they confirm, and says that it is done.</summary>
sealed class ActDialogs(IDialogService dialogs, ISnackbar snackbar)
{
    static readonly DialogOptions Options = new() { CloseOnEscapeKey = true, BackdropClick = true, MaxWidth = MaxWidth.Small, FullWidth = true };

    public async Task AskAsync(ActRequest request)
    {
        var dialog = await dialogs.ShowAsync<ActDialog>(request.Title, new DialogParameters<ActDialog> { { d => d.Request, request } }, Options);
        if (await dialog.Result is { Canceled: false })
            snackbar.Add(request.Done, Severity.Success);
    }

    public Task HelpAsync() => dialogs.ShowAsync<Layout.HelpDialog>("Help", new DialogParameters(), Options);
}
