using System.Net;
using System.Text.Json;

using Microsoft.AspNetCore.DataProtection;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;
using Whistle.Inventory.People;
using Whistle.Web;
using Whistle.Web.Places;
using Whistle.Web.Text;

namespace Whistle.Access;

/// <summary>What somebody looks after themselves: password, second factor, sessions and API tokens. Forms that need no script.</summary>
sealed class AccountPage
{
    // As long as somebody looks for their phone.
    static readonly TimeSpan KeyLasts = TimeSpan.FromMinutes(15);

    const string Changed = "That is no act of this page. Load it again.";

    readonly PeopleStore _people;
    readonly Accounts _accounts;
    readonly LogIns _logIns;
    readonly LogInBound _bound;
    readonly Passwords _passwords;
    readonly Sessions _sessions;
    readonly ApiTokens _tokens;
    readonly PeopleDirectory _directory;
    readonly PasskeyLogIn _devices;
    readonly Passkeys _passkeys;
    readonly SecondFactors _factors;
    readonly AuditLog _audit;
    readonly LogInOptions _options;
    readonly EncryptedText _key;
    readonly Dictionary<string, Func<AccountVisit, Task>> _acts;

    public AccountPage(
        PeopleStore people, Accounts accounts, LogIns logIns, LogInBound bound, Passwords passwords, Sessions sessions, ApiTokens tokens,
        PeopleDirectory directory, PasskeyLogIn devices, Passkeys passkeys, SecondFactors factors, AuditLog audit, LogInOptions options,
        IDataProtectionProvider protection)
    {
        (_people, _accounts, _logIns, _bound, _passwords) = (people, accounts, logIns, bound, passwords);
        (_sessions, _tokens, _devices, _passkeys, _factors) = (sessions, tokens, devices, passkeys, factors);
        (_directory, _audit, _options) = (directory, audit, options);
        _key = new(protection, "whistle.new-authenticator", 3, KeyLasts, options.Time);
        _acts = new()
        {
            ["change-password"] = OfPerson(ChangePasswordAsync),
            ["new-authenticator"] = OfPerson((visit, _) => ShowKeyAsync(visit, OneTimeCodes.NewKey(), null)),
            ["turn-on-second-factor"] = OfPerson(TurnOnAsync),
            ["turn-off-second-factor"] = OfPerson(TurnOffAsync),
            ["replace-recovery-codes"] = OfPerson(ReplaceCodesAsync),
            ["add-passkey"] = OfPerson(AddPasskeyAsync),
            ["remove-passkey"] = OfPerson(RemovePasskeyAsync),
            ["end-session"] = EndSessionAsync,
            ["end-other-sessions"] = EndOthersAsync,
            ["make-token"] = MakeTokenAsync,
            ["revoke-token"] = RevokeTokenAsync,
        };
    }

    public static void Map(WebApplication app)
    {
        var page = ActivatorUtilities.CreateInstance<AccountPage>(app.Services);
        const string reason = "It is about the caller's own account.";
        app.MapGet(Address.Account, context => page.VisitAsync(context, visit => page.ShowAsync(visit))).NeedsLogin(reason);
        app.MapPost(Address.Account, page.PostAsync).NeedsLogin(reason);
    }

    async Task PostAsync(HttpContext context)
    {
        var form = await Forms.ReadAsync(context) ?? FormCollection.Empty;
        await VisitAsync(
            context,
            visit => _acts.TryGetValue(visit.Act, out var act) ? act(visit)
                : ShowAsync(visit, Changed, StatusCodes.Status400BadRequest),
            form);
    }

    // A program with a token looks after nobody's account.
    async Task VisitAsync(HttpContext context, Func<AccountVisit, Task> work, IFormCollection? form = null)
    {
        Dashboard.Protect(context.Response);
        var (caller, session) = (RequestAudit.ActorOf(context), context.User.FindFirst(PeopleDirectory.SessionClaim)?.Value);
        if (session is null)
        {
            await PlainRefusal.WriteAsync(
                context, StatusCodes.Status403Forbidden, "The account page is for browsers. Log in with one to use it.");
            return;
        }

        var person = PersonIdentity.PersonOf(caller.Identity) is { } id
            ? (await _people.FindAsync(id, context.RequestAborted))?.Person : null;
        await work(new(context, form ?? FormCollection.Empty, caller, session, person));
    }

    Func<AccountVisit, Task> OfPerson(Func<AccountVisit, Person, Task> act) => visit => visit.Person is { Outside: null } person
        ? act(visit, person)
        : ShowAsync(visit, "You do not log in here with a password.", StatusCodes.Status400BadRequest);

    async Task ChangePasswordAsync(AccountVisit visit, Person person)
    {
        if (PasswordRules.Plain(visit.Form.One("password"), person.Name) is { } weak)
            await ShowAsync(visit, weak, StatusCodes.Status400BadRequest);
        else if (visit.Form.One("again") != visit.Form.One("password"))
            await ShowAsync(visit, "The two passwords differ.", StatusCodes.Status400BadRequest);
        else if (await ProveAsync(visit, person) is { } proven)
        {
            var chosen = await _passwords.ChooseAsync(
                visit.Form.One("password"), person.Name, person.Name, visit.From, visit.Cancellation);
            if (chosen is null)
                await PasswordLogIn.BusyAsync(visit.Context);
            else if (chosen.Hash is not { } hash)
                await ShowAsync(visit, chosen.Mistake, StatusCodes.Status400BadRequest);
            else
                await DoAsync(visit, () => _accounts.ChangePasswordAsync(proven, hash, visit.Session, visit.Cancellation));
        }
    }

    async Task TurnOnAsync(AccountVisit visit, Person person)
    {
        if (Decrypt(visit.Form.One("key"), person) is not { } key)
            await ShowAsync(visit, "That took too long, or your account has changed. Begin again.", StatusCodes.Status400BadRequest);
        else if (OneTimeCodes.Find(
            key, visit.Form.One("code").Replace(" ", "", StringComparison.Ordinal), _options.Time.GetUtcNow(), 0) is not { } step)
            await ShowKeyAsync(visit, key, "That is not the app's code. Check the phone's clock, and enter the code that it shows now.");
        else if (await ProveAsync(visit, person, mistake => ShowKeyAsync(visit, key, mistake)) is { } proven)
            await WithCodesAsync(
                visit, codes => WithFirstAsync(visit, proven, () => _accounts.TurnOnAsync(proven, key, step, codes, visit.Cancellation)));
    }

    async Task TurnOffAsync(AccountVisit visit, Person person)
    {
        if (!person.HasTwoFactor)
            await ShowAsync(visit, "The authenticator app is off already.", StatusCodes.Status400BadRequest);
        // Before it costs a code.
        else if (_factors.AreRequired && (await _passkeys.OfAsync(person.Id, visit.Cancellation)).Count == 0)
            await ShowAsync(visit, Accounts.LastFactor, StatusCodes.Status400BadRequest);
        else if (await ProveAsync(visit, person) is { } proven)
            await DoAsync(visit, () => _accounts.TurnOffAsync(proven, visit.Cancellation, _factors.AreRequired));
    }

    async Task ReplaceCodesAsync(AccountVisit visit, Person person)
    {
        if (!person.HasTwoFactor)
            await ShowAsync(visit, "Turn on the authenticator app first.", StatusCodes.Status400BadRequest);
        else if (await ProveAsync(visit, person) is { } proven)
            await WithCodesAsync(visit, codes => _accounts.ReplaceCodesAsync(proven, codes, visit.Cancellation));
    }

    async Task AddPasskeyAsync(AccountVisit visit, Person person)
    {
        if (Passkeys.MistakeInName(visit.Form.One("name").Trim()) is { } unnamed)
            await ShowAsync(visit, unnamed, StatusCodes.Status400BadRequest);
        else if (await _devices.MadeAsync(visit.Context, visit.Form, person) is not var (key, challenge))
            await ShowAsync(visit, "The device gave no valid passkey, or that took too long. Try again.", StatusCodes.Status400BadRequest);
        else if (await ProveAsync(visit, person) is { } proven)
            await DoAsync(
                visit,
                () => WithFirstAsync(
                    visit, proven,
                    () => _passkeys.AddAsync(proven, visit.Form.One("name").Trim(), key, challenge, visit.Cancellation)),
                visit.Form.One("name").Trim());
    }

    async Task RemovePasskeyAsync(AccountVisit visit, Person person)
    {
        if (await ProveAsync(visit, person) is { } proven)
            await DoAsync(
                visit, () => _passkeys.RemoveAsync(proven, visit.Form.One("id"), visit.Cancellation, _factors.AreRequired),
                visit.Form.One("id"));
    }

    // Other sessions were begun by the password alone, and with the first second factor they would reach everything.
    async Task<string?> WithFirstAsync(AccountVisit visit, Person person, Func<Task<string?>> add)
    {
        if (!await _factors.AreLackingAsync(person, visit.Cancellation))
            return await add();
        // Before it counts, and again for what began in between, whether or not the browser still waits.
        await _sessions.EndOfAsync(person.Identity, visit.Cancellation, but: visit.Session);
        var mistake = await add();
        await _sessions.EndOfAsync(person.Identity, CancellationToken.None, but: visit.Session);
        return mistake;
    }

    Task EndSessionAsync(AccountVisit visit) => DoAsync(visit, async () =>
    {
        var found = (await _sessions.AllAsync(visit.Cancellation)).FirstOrDefault(
            s => s.Owner == visit.Caller.Identity && s.Id == visit.Form.One("id"));
        return found is not null && await _sessions.EndAsync(found.Hash, visit.Cancellation) > 0 ? null : "This session has ended already.";
    }, visit.Form.One("id"));

    Task EndOthersAsync(AccountVisit visit) => DoAsync(visit, async () =>
    {
        await _sessions.EndOfAsync(visit.Caller.Identity, visit.Cancellation, but: visit.Session);
        return null;
    });

    // A token outlives a browser that was left open, so it costs a proof, where there is one here.
    async Task MakeTokenAsync(AccountVisit visit)
    {
        var name = visit.Form.One("name").Trim();
        var allowed = (await OfferedAsync(visit)).FirstOrDefault(g => $"{g}" == visit.Form.One("allows"));
        if (allowed is null || visit.Person is not { } person
            || await _directory.ActorOfAsync(person.Identity, visit.Cancellation) is not { } actor)
            await ShowAsync(visit, "Choose what the token allows.", StatusCodes.Status400BadRequest);
        else if (PersonNames.TokenMistake(name) is { } mistake)
            await ShowAsync(visit, mistake, StatusCodes.Status400BadRequest);
        else if (person.Outside is not null || await ProveAsync(visit, person) is not null)
        {
            string? token = null;
            if (await TryAsync(
                visit,
                async () =>
                {
                    (token, _, var outcome) = await _tokens.MakeAsync(actor, name, [allowed], ApiTokens.Usual, visit.Cancellation);
                    return outcome is PeopleOutcome.Refused refused ? refused.Reason : null;
                },
                name, JsonSerializer.Serialize(new { allows = $"{allowed}" })))
                await AccountView.WriteAsync(visit, AccountView.NewToken(name, token!), StatusCodes.Status200OK);
        }
    }

    // What somebody may do, or only look at. The machine's own user has no account, and whoever lacks a second factor has nothing yet.
    async Task<IReadOnlyList<Grant>> OfferedAsync(AccountVisit visit)
    {
        if (visit.Person is not { } person || await _factors.AreLackingAsync(person, visit.Cancellation)
            || await _directory.ActorOfAsync(person.Identity, visit.Cancellation) is not { } actor
            || await _people.FindAsync(person.Id, visit.Cancellation) is not { } known)
            return [];
        var own = known.Grants.Select(g => g.Grant).ToList();
        return
        [
            .. own.Concat(own.Select(g => new Grant(Role.Viewer, g.Scope))).Distinct()
                .Where(g => g.Mistake is null && actor.Rights.Includes(g)),
        ];
    }

    Task RevokeTokenAsync(AccountVisit visit) => DoAsync(
        visit,
        async () => await _tokens.RevokeAsync(
            visit.Form.One("id"), t => t.Owner == visit.Caller.Identity, visit.Cancellation) is PeopleOutcome.Unknown
            ? "This token was revoked already, or is over." : null,
        visit.Form.One("id"));

    // As at the log-in: whoever sits at a browser that was left open does not take the account with it.
    async Task<Person?> ProveAsync(AccountVisit visit, Person person, Func<string, Task>? refuse = null)
    {
        if (_bound.Begin(visit.From) is { } wait)
        {
            await PasswordLogIn.TooManyAsync(visit.Context, wait);
            return null;
        }

        var outcome = await _logIns.ProveAsync(
            person, visit.Form.One("old"), visit.Form.One(AccountView.Proof), visit.From, visit.Cancellation);
        if (outcome is not LogInOutcome.Failed)
            _bound.Succeed(visit.From);
        switch (outcome)
        {
            case LogInOutcome.Proven(var proven):
                return proven;
            case LogInOutcome.Busy:
                await PasswordLogIn.BusyAsync(visit.Context);
                return null;
            case LogInOutcome.Failed(_, var reason):
                await _audit.RefuseAsync(new(visit.Caller, visit.Act, AccessScope.All) { Outcome = AuditOutcome.Refused, Reason = reason });
                await (refuse ?? (mistake => ShowAsync(visit, mistake, StatusCodes.Status400BadRequest)))(
                    WrongProof(person));
                return null;
            default:
                throw new InvalidOperationException($"{outcome} is no outcome of a proof.");
        }
    }

    // Which of them it was is not said: whoever guesses one is not to know that it is right.
    string WrongProof(Person person) => (person.HasTwoFactor
            ? "Your present password or the code is wrong, the code was used before, or they were wrong too often. Wait for the next code"
            : "Your present password is wrong, or was wrong too often. Try again")
        + $"; if that does not help, wait {Quantity.Span(_options.LockedFor)}.";

    async Task DoAsync(AccountVisit visit, Func<Task<string?>> work, string subject = "")
    {
        if (!await TryAsync(visit, work, subject))
            return;
        // See other: to load the page again does nothing again.
        visit.Context.Response.StatusCode = StatusCodes.Status303SeeOther;
        visit.Context.Response.Headers.Location = Address.With(Address.Account, ("done", visit.Act));
    }

    async Task<bool> TryAsync(AccountVisit visit, Func<Task<string?>> work, string subject = "", string details = "")
    {
        var mistake = await _audit.RecordAsync(
            new AuditAct(visit.Caller, visit.Act) { Subject = subject, Details = details }, work, m => m);
        if (mistake is not null)
            await ShowAsync(visit, mistake, StatusCodes.Status400BadRequest);
        return mistake is null;
    }

    async Task WithCodesAsync(AccountVisit visit, Func<IReadOnlyList<string>, Task<string?>> work)
    {
        var codes = RecoveryCodes.New();
        if (await TryAsync(visit, () => work(codes)))
            await AccountView.WriteAsync(visit, AccountView.Codes(codes), StatusCodes.Status200OK);
    }

    Task ShowKeyAsync(AccountVisit visit, string key, string? mistake) => AccountView.WriteAsync(
        visit, AccountView.Key(visit.Person!, key, Encrypt(visit.Person!, key), mistake),
        mistake is null ? StatusCodes.Status200OK : StatusCodes.Status400BadRequest);

    async Task ShowAsync(AccountVisit visit, string? mistake = null, int status = StatusCodes.Status200OK)
    {
        var sessions = (await _sessions.AllAsync(visit.Cancellation)).Where(s => s.Owner == visit.Caller.Identity).ToList();
        var tokens = (await _tokens.LivingAsync(visit.Cancellation)).Where(t => t.Owner == visit.Caller.Identity).ToList();
        var left = visit.Person is { HasTwoFactor: true } person ? await _accounts.CountCodesAsync(person, visit.Cancellation) : 0;
        var passkeys = visit.Person is { Outside: null } owner
            ? AccountView.Passkeys(
                visit, await _passkeys.OfAsync(owner.Id, visit.Cancellation), await _devices.NewAsync(visit.Context, owner), mistake)
            : "";
        var lacks = visit.Person is { } known && await _factors.AreLackingAsync(known, visit.Cancellation) ? AccountView.Lacks : "";
        await AccountView.WriteAsync(visit, lacks + AccountView.Whole(
            visit, sessions, tokens, await OfferedAsync(visit), left, passkeys, mistake), status);
    }

    // The key waits in the form until the app has shown that it has it; for this log-in of this person alone.
    string Encrypt(Person person, string key) => _key.Encrypt(person.Id, person.SecurityStamp, key);

    string? Decrypt(string text, Person person) => _key.Decrypt(text) is ([var id, var stamp, var key], _) && id == person.Id
        && stamp == person.SecurityStamp ? key : null;
}

/// <summary>One request of somebody about their account.</summary>
/// <param name="Session">The hash of the session that it comes with.</param>
/// <param name="Person">Null for the machine's own user.</param>
sealed record AccountVisit(HttpContext Context, IFormCollection Form, AuditActor Caller, string Session, Person? Person)
{
    public string Act => Form.One("act");

    public IPAddress? From => Context.Connection.RemoteIpAddress;

    public CancellationToken Cancellation => Context.RequestAborted;
}
