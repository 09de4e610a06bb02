using System.Globalization;

using QRCoder;

using Whistle.Inventory.Access;
using Whistle.Inventory.People;
using Whistle.Web;
using Whistle.Web.Places;

namespace Whistle.Access;

/// <summary>The account page as HTML.</summary>
static class AccountView
{
    /// <summary>The field of the code by which somebody proves who they are, where a log-in takes one.</summary>
    public const string Proof = "proof";

    /// <summary>Why nothing else opens.</summary>
    public const string Lacks =
        "<p class=\"note\" role=\"status\">Everybody needs a second factor on this server. Set up an authenticator app or add a passkey: "
        + "until then you reach this page alone.</p>";

    static readonly Dictionary<string, string> Done = new()
    {
        ["change-password"] = "Your password is changed, and your other sessions have ended.",
        ["turn-off-second-factor"] = "The authenticator app is off. Your password alone logs you in.",
        ["add-passkey"] = "The passkey is added.",
        ["remove-passkey"] = "The passkey is removed, and logs nobody in any more.",
        ["end-session"] = "The session has ended.",
        ["end-other-sessions"] = "Your other sessions have ended.",
        ["revoke-token"] = "The token is revoked.",
    };

    public static Task WriteAsync(AccountVisit visit, string content, int status) => LoginPages.Whole(
        "your account",
        $"""
        <header class="top"><a class="brand" href="{Address.Fleet}" aria-label="Whistle, the fleet">
        <img src="{Dashboard.AssetAddress("whistle.svg")}" alt="" width="22" height="22"><span>Whistle</span></a>
        <div class="tools"><form method="post" action="{Address.Logout}">{Forms.Button("Log out", "is-small")}</form></div></header>
        <main class="account"><h1>Your account</h1>
        <p class="quiet">You are logged in as <strong>{Forms.Text(visit.Caller.Name)}</strong>.</p>{content}</main>
        """,
        status).ExecuteAsync(visit.Context);

    public static string Whole(
        AccountVisit visit, IReadOnlyList<Session> sessions, IReadOnlyList<ApiToken> tokens, IReadOnlyList<Grant> offered, int codesLeft,
        string passkeys, string? mistake)
    {
        var done = visit.Context.Request.Query["done"].ToString();
        var said = mistake is null && Done.TryGetValue(done, out var words) ? $"<p class=\"note\" role=\"status\">{words}</p>" : "";
        var isSaid = IsShown(visit, "end-session", "end-other-sessions", "revoke-token") || IsOfForm(visit)
            || (offered.Count > 0 && IsShown(visit, "make-token"));
        return said + WhoIs(visit, codesLeft, mistake) + passkeys + (isSaid ? "" : Forms.Mistake(mistake))
            + Sessions(visit, sessions, mistake) + Tokens(visit, tokens, offered, mistake);
    }

    /// <summary>What an app is to be told, and the form that shows that it has it.</summary>
    public static string Key(Person person, string key, string encrypted, string? mistake) =>
        $"""
        <section class="panel"><h2>Set up an authenticator app</h2>
        <p>Scan this with the app, or enter the key in it.</p>
        {Picture(OneTimeCodes.Uri(person.Name, key))}
        <dl class="facts"><dt>Key</dt><dd><code id="key">{string.Join(' ', key.Chunk(4).Select(c => new string(c)))}</code></dd>
        <dt>Address</dt><dd><code>{Forms.Text(OneTimeCodes.Uri(person.Name, key))}</code></dd></dl>
        <form method="post" action="{Address.Account}">{Act("turn-on-second-factor")}
        {Forms.Hidden("key", encrypted)}{Forms.Mistake(mistake)}
        {Forms.Code("Code that the app shows", mistake)}{Old(person, mistake)}
        {Forms.Button("Turn on")}</form><p><a href="{Address.Account}">Leave it as it is</a></p></section>
        """;

    public static string Codes(IReadOnlyList<string> codes) =>
        $"""
        <section class="panel"><h2>Your recovery codes</h2>
        <p>Each logs you in once, in the place of the app's code. Keep them where you find them without the phone.
        <strong>They are shown this once.</strong></p>
        <ul class="codes">{string.Concat(codes.Select(c => $"<li><code>{c}</code></li>"))}</ul>
        <p><a class="button is-main" href="{Address.Account}">I have kept them</a></p></section>
        """;

    /// <param name="made">What a new one is made with; null where the server's address allows none.</param>
    public static string Passkeys(
        AccountVisit visit, IReadOnlyList<Passkey> passkeys, (string Options, string State)? made, string? mistake)
    {
        var (added, removed) = (IsShown(visit, "add-passkey") ? mistake : null, IsShown(visit, "remove-passkey") ? mistake : null);
        var add = made is not var (options, state)
            ? "<p class=\"quiet\">Open Whistle by a name over https to add one: browsers keep none for this address.</p>"
            : $"""
            {Forms.Mistake(added)}
            <form method="post" action="{Address.Account}" data-passkey="{Forms.Text(options)}" data-new hidden>{Act("add-passkey")}
            {Forms.Hidden(PasskeyLogIn.State, state)}{Forms.Hidden(PasskeyLogIn.Credential, "")}
            {Forms.Field("name", "Name of the device", "maxlength=\"64\" autocomplete=\"off\"")}{Old(visit.Person, null)}
            {Forms.Button("Add a passkey", "")}<p class="refusal" role="alert"></p></form>{PasskeyLogIn.Script}
            """;
        return $"""
            <section class="panel"><h2>Passkeys</h2>
            <p>A passkey on a device logs you in by fingerprint, face or PIN, without password and code.</p>{Forms.Mistake(removed)}
            <ul class="rows">{string.Concat(passkeys.Select(p =>
                $"""
                <li><div><strong>{Forms.Text(p.Name)}</strong>
                <small class="quiet">Since {At(p.Info.CreatedAt)}, {(p.UsedAt is { } used ? $"last used {At(used)}" : "never used")}</small>
                <details><summary>Remove</summary><form method="post" action="{Address.Account}">{Act("remove-passkey")}
                {Forms.Hidden("id", p.Id)}{Old(visit.Person, null)}{Forms.Button("Remove", "is-danger")}</form></details></div></li>
                """))}</ul>{add}</section>
            """;
    }

    static string WhoIs(AccountVisit visit, int codesLeft, string? mistake) => visit.Person switch
    {
        null => "<p class=\"note\">This is the server's own machine, which has no password here. Whoever has the data folder makes "
            + "login links with <code>whistle login</code>.</p>",
        { Outside: { } outside } => $"<p class=\"note\">You log in at <strong>{Forms.Text(outside.Issuer)}</strong>. Change your password "
            + "and your second factor there.</p>",
        var person => Password(visit, mistake) + SecondFactor(visit, person, codesLeft, mistake),
    };

    static string Password(AccountVisit visit, string? mistake)
    {
        mistake = IsShown(visit, "change-password") ? mistake : null;
        return $"""
            <section class="panel"><h2>Password</h2>
            <form method="post" action="{Address.Account}">{Act("change-password")}{Forms.Mistake(mistake)}
            <input type="text" name="username" value="{Forms.Text(visit.Caller.Name)}" autocomplete="username" readonly hidden>
            {Old(visit.Person, mistake)}{InvitationPage.NewPassword(mistake)}
            <p class="quiet">Your other sessions end. API tokens stay.</p>
            {Forms.Button("Change password", "")}</form></section>
            """;
    }

    static string SecondFactor(AccountVisit visit, Person person, int codesLeft, string? mistake)
    {
        var failed = IsShown(visit, "new-authenticator", "turn-on-second-factor") ? mistake : null;
        if (!person.HasTwoFactor)
        {
            return $"""
                <section class="panel"><h2>Authenticator app</h2><p>Off. Your password alone logs you in.</p>
                <form method="post" action="{Address.Account}">{Act("new-authenticator")}{Forms.Mistake(failed)}
                {Forms.Button("Set up an app", "")}</form></section>
                """;
        }

        var replaced = IsShown(visit, "replace-recovery-codes") ? mistake : null;
        var off = IsShown(visit, "turn-off-second-factor") ? mistake : null;
        return $"""
            <section class="panel"><h2>Authenticator app</h2>
            <p>On. A log-in needs a code. {codesLeft} of {RecoveryCodes.Count} recovery codes are left.</p>
            <details{(replaced is null ? "" : " open")}><summary>Make other recovery codes</summary>
            <form method="post" action="{Address.Account}">{Act("replace-recovery-codes")}{Forms.Mistake(replaced)}
            {Old(person, replaced)}
            <p class="quiet">The earlier ones open nothing any more.</p>{Forms.Button("Make codes", "")}</form></details>
            <details{(failed is null ? "" : " open")}><summary>Set up another app</summary>
            <form method="post" action="{Address.Account}">{Act("new-authenticator")}{Forms.Mistake(failed)}
            <p class="quiet">This one makes no valid codes any more then, and the recovery codes are others.</p>
            {Forms.Button("Set up another app", "")}</form></details>
            <details{(off is null ? "" : " open")}><summary>Turn it off</summary>
            <form method="post" action="{Address.Account}">{Act("turn-off-second-factor")}{Forms.Mistake(off)}
            {Old(person, off)}{Forms.Button("Turn off", "is-danger")}</form></details></section>
            """;
    }

    static string Sessions(AccountVisit visit, IReadOnlyList<Session> sessions, string? mistake) =>
        $"""
        <section class="panel"><h2>Sessions</h2>{Forms.Mistake(IsShown(visit, "end-session", "end-other-sessions") ? mistake : null)}
        <ul class="rows">{string.Concat(sessions.Select(s =>
            $"""
            <li><div><strong>{Forms.Text(s.Address ?? "unknown address")}</strong>
            {(s.Hash == visit.Session ? "<span class=\"badge is-ok\">this one</span>" : "")}
            <small class="quiet">{Forms.Text(s.Agent ?? "unknown browser")}</small>
            <small class="quiet">Since {At(s.BeganAt)}, last seen {At(s.SeenAt)}</small></div>
            {(s.Hash == visit.Session ? "" : End("end-session", s.Id, "End", $"End the session of {s.Address}"))}</li>
            """))}</ul>
        {(sessions.Count < 2 ? "" : EndOthers)}
        </section>
        """;

    static string EndOthers =>
        $"""<form method="post" action="{Address.Account}">{Act("end-other-sessions")}{Forms.Button("End all others", "")}</form>""";

    public static string NewToken(string name, string token) =>
        $"""
        <section class="panel"><h2>The token {Forms.Text(name)}</h2>
        <p>Put it where the program reads it, for <code>whistle</code> into a file of mode 0600 for <code>--token-file</code>.
        <strong>It is shown this once.</strong></p>
        <p><code id="token">{token}</code></p>
        <p><a class="button is-main" href="{Address.Account}">I have kept it</a></p></section>
        """;

    static string MakeToken(AccountVisit visit, IReadOnlyList<Grant> offered, string? mistake) => offered.Count == 0 ? "" :
        $"""
        <form method="post" action="{Address.Account}">{Act("make-token")}{Forms.Mistake(mistake)}
        {Forms.Field("name", "Name of the token", "maxlength=\"64\" autocomplete=\"off\"", mistake)}
        <label class="field"><span>Allows, for {ApiTokens.Usual.TotalDays} days</span><select name="allows">{string.Concat(offered.Select(
            g => $"<option>{Forms.Text($"{g}")}</option>"))}</select></label>
        {(visit.Person is { Outside: null } person ? Old(person, null) : "")}{Forms.Button("Make a token", "")}</form>
        """;

    static string Tokens(AccountVisit visit, IReadOnlyList<ApiToken> tokens, IReadOnlyList<Grant> offered, string? mistake) =>
        $"""
        <section class="panel"><h2>API tokens</h2>{Forms.Mistake(IsShown(visit, "revoke-token") ? mistake : null)}
        <p>With a token a program acts in your name.</p>
        {(tokens.Count == 0 && offered.Count == 0 ? "<p class=\"quiet\">None. <code>whistle tokens add</code> makes one.</p>" : "")}
        <ul class="rows">{string.Concat(tokens.Select(t =>
            $"""
            <li><div><strong>{Forms.Text(t.Name)}</strong>
            <small class="quiet">{Forms.Text(string.Join(", ", t.Grants))}</small>
            <small class="quiet">Until {At(t.EndsAt)}, {(t.UsedAt is { } used ? $"last used {At(used)}" : "never used")}</small></div>
            {End("revoke-token", t.Id, "Revoke", $"Revoke the token {t.Name}")}</li>
            """))}</ul>{MakeToken(visit, offered, IsShown(visit, "make-token") ? mistake : null)}</section>
        """;

    static string End(string act, string id, string label, string whole) =>
        $"""
        <form method="post" action="{Address.Account}">{Act(act)}{Forms.Hidden("id", id)}
        <button type="submit" class="button is-small" aria-label="{Forms.Text(whole)}">{label}</button></form>
        """;

    static bool IsOfForm(AccountVisit visit) => visit.Person is { Outside: null } person && IsShown(
        visit,
        ["change-password", "add-passkey", "remove-passkey", "new-authenticator", "turn-on-second-factor",
            .. person.HasTwoFactor ? (string[])["replace-recovery-codes", "turn-off-second-factor"] : []]);

    static bool IsShown(AccountVisit visit, params string[] acts) => acts.Contains(visit.Act);

    static string Act(string act) => Forms.Hidden("act", act);

    // As a log-in asks.
    static string Old(Person? person, string? mistake) => Forms.Password("old", "Present password", mistake)
        + (person is { HasTwoFactor: true } ? Forms.Code("Present code, or a recovery code", mistake, name: Proof) : "");

    static string At(DateTimeOffset at)
    {
        var text = at.UtcDateTime.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
        return $"<time datetime=\"{at.UtcDateTime:O}\">{text} UTC</time>";
    }

    // One path of one unit a module, black on white in every theme: apps read nothing else reliably.
    static string Picture(string text)
    {
        using var code = QRCodeGenerator.GenerateQrCode(text, QRCodeGenerator.ECCLevel.M);
        var size = code.ModuleMatrix.Count;
        var path = string.Concat(Enumerable.Range(0, size).SelectMany(
            y => Enumerable.Range(0, size).Where(x => code.ModuleMatrix[y][x]).Select(x => $"M{x} {y}h1v1h-1z")));
        return $"""
            <svg class="qr" viewBox="0 0 {size} {size}" role="img" aria-label="The key as a QR code" shape-rendering="crispEdges">
            <rect width="{size}" height="{size}" fill="#fff"/><path d="{path}" fill="#000"/></svg>
            """;
    }
}
