using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.Web;

namespace Whistle.Access;

/// <summary>Where a link of <c>whistle people invite</c> or <c>reset</c> leads: whoever has it chooses how to log in, once.</summary>
sealed class InvitationPage(Invitations invitations, Passwords passwords, LogInBound bound, AuditLog audit)
{
    const string Path = "/invitation";
    const string ByLink = """{"by":"invitation"}""";

    public static void Map(WebApplication app)
    {
        var page = ActivatorUtilities.CreateInstance<InvitationPage>(app.Services);
        const string reason = "Whoever is invited is nobody yet, and shows the token of the link.";
        app.MapGet(Path, page.GetAsync).NeedsNobody(reason);
        app.MapPost(Path, page.PostAsync).NeedsNobody(reason);
    }

    async Task GetAsync(HttpContext context)
    {
        Protect(context.Response);
        var token = context.Request.Query["token"] is [{ } one] ? one : "";
        if (await FindAsync(context, token) is not var (invitation, known))
            return;
        bound.Succeed(context.Connection.RemoteIpAddress);
        await ShowAsync(context, invitation, known, token, "", null, StatusCodes.Status200OK);
    }

    async Task PostAsync(HttpContext context)
    {
        Protect(context.Response);
        var (form, from) = (await Forms.ReadAsync(context) ?? FormCollection.Empty, context.Connection.RemoteIpAddress);
        var token = form.One("token");
        // Nothing is hashed for strangers.
        if (await FindAsync(context, token) is not var (invitation, known))
            return;
        var chooses = await invitations.ChoosesNameAsync(invitation, context.RequestAborted);
        var name = known?.Name ?? (chooses ? form.One("name").Trim() : invitation.UserName!);
        var mistake = Mistake(name, known is not null, form);
        // It counts as a failure, so that a link does not tell everybody's names.
        var isTaken = mistake is null && chooses && await invitations.IsTakenAsync(name, context.RequestAborted);
        if (!isTaken)
            bound.Succeed(from);
        if ((isTaken ? Invitations.Taken(name) : mistake) is { } wrong)
        {
            await ShowAsync(context, invitation, known, token, name, wrong, StatusCodes.Status400BadRequest);
            return;
        }

        if (await passwords.ChooseAsync(form.One("password"), name, invitation.Id, from, context.RequestAborted) is not { } chosen)
        {
            await PasswordLogIn.BusyAsync(context);
            return;
        }

        if (chosen.Hash is not { } hash)
        {
            await ShowAsync(context, invitation, known, token, name, chosen.Mistake, StatusCodes.Status400BadRequest);
            return;
        }

        var act = new AuditAct(RequestAudit.ActorOf(context), known is null ? "accept-invitation" : "accept-reset")
        { Subject = invitation.Id };
        var (person, refusal) = await audit.RecordAsync(
            act, () => invitations.AcceptAsync(token, name, hash, context.RequestAborted, act), r => r.Mistake);
        if (person is null)
            await ShowAsync(context, invitation, known, token, name, refusal, StatusCodes.Status400BadRequest);
        else
            await Authentication.LogInAsync(context, person, ByLink);
    }

    // It counts as a failure until the caller says otherwise. A link that does not work says the same whatever it is; whose was made for
    // somebody is told what to do. Null where the answer is written.
    async Task<(Invitation Invitation, Person? Known)?> FindAsync(HttpContext context, string token)
    {
        if (bound.Begin(context.Connection.RemoteIpAddress) is { } wait)
        {
            await PasswordLogIn.TooManyAsync(context, wait);
            return null;
        }

        var (invitation, known, over) = await invitations.LookAsync(token, context.RequestAborted);
        if (invitation is not null)
            return (invitation, known);
        await LoginPages.Of(
            $"<h1>This link does not work</h1><p>{Forms.Text(over)}</p><p><a href=\"/login\">To the log-in</a></p>",
            StatusCodes.Status404NotFound).ExecuteAsync(context);
        return null;
    }

    static string? Mistake(string name, bool isKnown, IFormCollection form) =>
        !isKnown && PersonNames.Mistake(name) is { } mistake ? mistake
        : PasswordRules.Plain(form.One("password"), name) is { } weak ? weak
        : form.One("again") != form.One("password") ? "The two passwords differ." : null;

    async Task ShowAsync(
        HttpContext context, Invitation invitation, Person? known, string token, string name, string? mistake, int status)
    {
        var chooses = await invitations.ChoosesNameAsync(invitation, context.RequestAborted);
        var called = known?.Name ?? invitation.UserName;
        var title = known is null ? "Welcome to Whistle" : "Choose a new password";
        var taken = chooses && called is not null ? $"<p>Somebody is called {Forms.Text(called)} by now, so choose another name.</p>" : "";
        await LoginPages.Of(
            $"""
            <h1>{title}</h1>
            <p>{(known is null ? $"{Forms.Text(invitation.MadeName)} invites you." : "Your earlier password opens nothing any more.")}
            This link works once.</p>{taken}
            <form method="post" action="{Path}" class="panel">{Forms.Hidden("token", token)}{Forms.Mistake(mistake)}
            {(chooses ? Forms.Name(name, mistake, "") : Forms.Name(called!, null, " readonly"))}
            {NewPassword(mistake)}
            {Forms.Button(known is null ? "Begin" : "Save and log in")}</form>
            """,
            status).ExecuteAsync(context);
    }

    /// <summary>The fields of a password that somebody chooses.</summary>
    public static string NewPassword(string? mistake) =>
        Forms.Field(
            "password", "New password",
            $"type=\"password\" autocomplete=\"new-password\" minlength=\"{PasswordRules.Shortest}\" maxlength=\"{PasswordRules.Longest}\"",
            mistake, $"At least {PasswordRules.Shortest} characters. Several words in a row are easy to remember.")
        + Forms.Password("again", "The same again", mistake, isNew: true);

    // Not no-referrer, with which a browser calls the origin of the page's own form null. This sends the server's name and no path.
    static void Protect(HttpResponse response)
    {
        Dashboard.Protect(response);
        response.Headers["Referrer-Policy"] = "strict-origin";
    }
}
