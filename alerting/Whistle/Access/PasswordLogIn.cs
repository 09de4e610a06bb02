using System.Globalization;

using Microsoft.AspNetCore.DataProtection;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.Web;
using Whistle.Web.Text;

namespace Whistle.Access;

/// <summary>
/// Log-in by a passkey, or by name and password, then by a code for whoever has an authenticator app. Whatever is wrong with it, the
/// answer is the same, and comes after the same time.
/// </summary>
sealed class PasswordLogIn(
    LogIns logIns, PasskeyLogIn passkeys, LogInBound bound, AuditLog audit, IDataProtectionProvider protection, WhistleOptions options)
{
    const string Step = "step";
    const string Wrong = "That did not work. Check the name and the password, or ask an administrator.";
    const string PasskeyNeeded =
        "Your password alone is not enough on this server. Log in with your passkey, or ask an administrator for a reset.";

    const string WrongPasskey = "That did not work. Try the passkey again, use your password, or ask an administrator.";
    const string WrongCode = "That did not work. Wait for the next code, or use a recovery code that you have not used before.";

    /// <summary>A failure takes a multiple of it: longer than a hash, whatever it was.</summary>
    static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(500);

    static readonly TimeSpan BusyFor = TimeSpan.FromSeconds(5);

    /// <summary>How long the second step may take.</summary>
    static readonly TimeSpan StepLasts = TimeSpan.FromMinutes(5);

    readonly EncryptedText _step = new(protection, "whistle.second-step", 2, StepLasts, options.LogIn.Time);

    TimeProvider Time => options.LogIn.Time;

    public static void Map(WebApplication app)
    {
        var logIn = ActivatorUtilities.CreateInstance<PasswordLogIn>(app.Services);
        app.MapPost("/login", logIn.PostAsync).NeedsNobody("Whoever logs in is nobody yet.");
    }

    /// <summary>The first step, as HTML.</summary>
    /// <param name="name">As it was typed before.</param>
    /// <param name="mistake">Text; null where there is none.</param>
    public static string Form(string name = "", string? mistake = null) =>
        $"""
        <form method="post" action="/login" class="panel">{Forms.Mistake(mistake)}
        {Forms.Name(name, mistake, more: name.Length == 0 ? " autofocus" : "")}
        {Forms.Password("password", "Password", mistake, more: name.Length > 0 ? " autofocus" : "")}
        {Forms.Button("Log in")}</form>
        """;

    /// <summary>Refuses where too many have failed from the address.</summary>
    public static Task TooManyAsync(HttpContext context, TimeSpan wait) => TurnAwayAsync(
        context, StatusCodes.Status429TooManyRequests, wait,
        $"Too many log-ins from your address have failed. Wait {Quantity.Span(wait + TimeSpan.FromSeconds(59))} before the next.",
        "Too many log-ins from this address have failed.");

    /// <summary>Refuses where too many passwords are to be hashed.</summary>
    public static Task BusyAsync(HttpContext context) => TurnAwayAsync(
        context, StatusCodes.Status503ServiceUnavailable, BusyFor, "Too many log-ins at once. Try again in a few seconds.",
        "Too many log-ins at once.");

    // An action of its own, so that the failures before it do not count it among them.
    static async Task TurnAwayAsync(HttpContext context, int status, TimeSpan wait, string said, string reason)
    {
        await context.RequestServices.GetRequiredService<AuditLog>().RefuseAsync(
            new(RequestAudit.ActorOf(context), "log-in-limit", AccessScope.All) { Outcome = AuditOutcome.Refused, Reason = reason });
        context.Response.Headers.RetryAfter = ((int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        await LoginPages.WriteAsync(context, "Try again later", said, status);
    }

    async Task PostAsync(HttpContext context)
    {
        Dashboard.Protect(context.Response);
        if (await Forms.ReadAsync(context) is not { } form)
        {
            await LoginPages.WriteAsync(context, "That is no log-in", "Send the form of this page.", StatusCodes.Status400BadRequest);
            return;
        }

        var (from, began) = (context.Connection.RemoteIpAddress, Time.GetTimestamp());
        if (bound.Begin(from) is { } wait)
        {
            await TooManyAsync(context, wait);
            return;
        }

        var by = form.ContainsKey(Step) ? "code" : form.ContainsKey(PasskeyLogIn.Credential) ? "passkey" : "password";
        var outcome = by is "code" ? await SecondAsync(context, form) : by is "passkey" ? await passkeys.ProveAsync(context, form)
            : await logIns.ByPasswordAsync(form.One("name").Trim(), form.One("password"), from, context.RequestAborted);
        if (outcome is not LogInOutcome.Failed)
            bound.Succeed(from);
        switch (outcome)
        {
            case LogInOutcome.Proven(var person):
                await Authentication.LogInAsync(context, person, DetailsOf(by is "code" ? "password and code" : by));
                break;
            case LogInOutcome.SecondFactor(var person):
                await AnswerAsync(context, CodeForm(Encrypt(person), null), StatusCodes.Status200OK);
                break;
            case LogInOutcome.PasskeyNeeded(var person):
                // An act of its own: among failed log-ins of that minute it would be counted and not be read.
                await RefuseAsync(
                    context, person.Name, by, "The password is right, and the person has a passkey to log in with.", "log-in-passkey");
                await AnswerAsync(
                    context,
                    Forms.Mistake(PasskeyNeeded) + await passkeys.FormAsync(context) + "<p><a href=\"/login\">To the log-in</a></p>",
                    StatusCodes.Status401Unauthorized);
                break;
            case LogInOutcome.Busy:
                await BusyAsync(context);
                break;
            case LogInOutcome.Failed failed:
                await FailAsync(context, failed, by, form, began);
                break;
            default:
                throw new InvalidOperationException($"{outcome} is no outcome of a log-in.");
        }
    }

    async Task FailAsync(HttpContext context, LogInOutcome.Failed failed, string by, IFormCollection form, long began)
    {
        await RefuseAsync(context, failed.Name, by, failed.Reason);
        await Task.Delay(Rest(Time.GetElapsedTime(began)), Time, context.RequestAborted);
        await AnswerAsync(
            context,
            by is "code" && Decrypt(form.One(Step)) is not null ? CodeForm(form.One(Step), WrongCode)
                : Form(form.One("name"), by is "code" ? "That took too long. Log in again." : by is "passkey" ? WrongPasskey : Wrong)
                    + await passkeys.FormAsync(context) + LoginPages.OfProvider(options.Oidc),
            StatusCodes.Status401Unauthorized);
    }

    Task RefuseAsync(HttpContext context, string name, string by, string reason, string action = "log-in") => audit.RefuseAsync(
        new(RequestAudit.ActorOf(context), action, AccessScope.All, name, DetailsOf(by))
        { Outcome = AuditOutcome.Refused, Reason = reason });

    /// <summary>
    /// How long the answer to a failure still waits. Where the server is busy and takes longer than one beat, the next hides as well what
    /// took so long.
    /// </summary>
    internal static TimeSpan Rest(TimeSpan took) => TimeSpan.FromTicks(Beat.Ticks - took.Ticks % Beat.Ticks);

    async Task<LogInOutcome> SecondAsync(HttpContext context, IFormCollection form) => Decrypt(form.One(Step)) is var (person, stamp)
        ? await logIns.ByCodeAsync(person, stamp, form.One("code"), context.Connection.RemoteIpAddress, context.RequestAborted)
        : new LogInOutcome.Failed("", "The second step took too long, or was not begun here.");

    static string CodeForm(string step, string? mistake) =>
        $"""
        <form method="post" action="/login" class="panel">{Forms.Hidden(Step, step)}
        <p>Open your authenticator app, and enter its code for Whistle.</p>{Forms.Mistake(mistake)}
        {Forms.Code("Code", mistake, "Without the app, enter one of your recovery codes. Each works once.")}
        {Forms.Button("Log in")}</form><p><a href="/login">Begin again</a></p>
        """;

    static string DetailsOf(string by) => $$"""{"by":"{{by}}"}""";

    static Task AnswerAsync(HttpContext context, string content, int status) =>
        LoginPages.Of($"<h1>Log in to Whistle</h1>{content}", status).ExecuteAsync(context);

    // Whoever holds it has shown the password; it opens nothing without a code, and nothing once anything about the log-in has changed.
    string Encrypt(Person person) => _step.Encrypt(person.Id, person.SecurityStamp);

    (string Person, string Stamp)? Decrypt(string step) => _step.Decrypt(step) is ([var person, var stamp], _) ? (person, stamp) : null;
}
