using System.Net;

using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

using Whistle.Inventory.People;
using Whistle.Web;

namespace Whistle.Access;

/// <summary>
/// Passkeys: what is proven by them is proven by ASP.NET Core Identity. The device asks for a fingerprint, a face or a PIN, so one counts
/// as both factors.
/// </summary>
sealed class PasskeyLogIn
{
    public const string Credential = "credential";
    public const string State = "state";

    const string Scripts = "passkey.js";

    // As long as a page with the challenge may stay open.
    static readonly TimeSpan Lasts = TimeSpan.FromMinutes(15);

    readonly Passkeys _passkeys;
    readonly PasskeyHandler<Person> _handler;
    readonly EncryptedText _toAdd;
    readonly EncryptedText _toLogIn;

    public PasskeyLogIn(
        PeopleStore people, Passkeys passkeys, IDataProtectionProvider protection, LogInOptions options,
        ILogger<UserManager<Person>> logger)
    {
        _passkeys = passkeys;
        _toAdd = new(protection, "whistle.new-passkey", 2, Lasts, options.Time);
        _toLogIn = new(protection, "whistle.passkey", 2, Lasts, options.Time);
        var manager = new UserManager<Person>(
            new PasskeyStore(people, passkeys), null!, null!, [], [], null!, new IdentityErrorDescriber(), null!, logger);
        _handler = new(manager, Options.Create(new IdentityPasskeyOptions
        {
            UserVerificationRequirement = "required",
            ResidentKeyRequirement = "required",
            AttestationConveyancePreference = "none",
            ValidateOrigin = context => ValueTask.FromResult(
                !context.CrossOrigin && context.Origin == $"{context.HttpContext.Request.Scheme}://{context.HttpContext.Request.Host}"),
        }));
    }

    /// <summary>A form by which whoever has one logs in; nothing where the server has no name, without which there are none.</summary>
    public async Task<string> FormAsync(HttpContext context)
    {
        if (!IsPossible(context.Request))
            return "";
        var options = await _handler.MakeRequestOptionsAsync(null, context);
        return $"""
            <form method="post" action="/login" data-passkey="{Forms.Text(options.RequestOptionsJson)}" hidden>
            {Forms.Hidden(State, _toLogIn.Encrypt("", options.AssertionState!))}{Forms.Hidden(Credential, "")}
            {Forms.Button("Log in with a passkey", "")}<p class="refusal" role="alert"></p></form>{Script}
            """;
    }

    /// <summary>What a form that adds one carries; null where the server has no name.</summary>
    public async Task<(string Options, string State)?> NewAsync(HttpContext context, Person person)
    {
        if (!IsPossible(context.Request))
            return null;
        var options = await _handler.MakeCreationOptionsAsync(
            new() { Id = person.Id, Name = person.Name, DisplayName = person.Name }, context);
        return (options.CreationOptionsJson, _toAdd.Encrypt(person.Id, options.AttestationState!));
    }

    public static string Script => $"""<script src="{Dashboard.AssetAddress(Scripts)}" defer></script>""";

    public async Task<LogInOutcome> ProveAsync(HttpContext context, IFormCollection form)
    {
        if (_toLogIn.Decrypt(form.One(State)) is not ([_, var state], var until))
            return new LogInOutcome.Failed("", "The log-in with a passkey took too long, or was not begun here.");
        var result = await _handler.PerformAssertionAsync(
            new() { HttpContext = context, CredentialJson = form.One(Credential), AssertionState = state });
        return result.Succeeded
            ? await _passkeys.UseAsync(result.User.Id, result.Passkey, new(state, until), context.RequestAborted)
            : new LogInOutcome.Failed("", "The passkey is not known, or its proof is not valid.");
    }

    /// <summary>The key that the device made, and for which challenge; null where it proves nothing.</summary>
    public async Task<(UserPasskeyInfo Key, PasskeyChallenge Challenge)?> MadeAsync(
        HttpContext context, IFormCollection form, Person person)
    {
        if (_toAdd.Decrypt(form.One(State)) is not ([var whose, var state], var until) || whose != person.Id)
            return null;
        var result = await _handler.PerformAttestationAsync(
            new() { HttpContext = context, CredentialJson = form.One(Credential), AttestationState = state });
        return result.Succeeded && result.UserEntity.Id == person.Id ? (result.Passkey, new(state, until)) : null;
    }

    // Browsers bind them to a name, and to one that nobody on the way can take.
    static bool IsPossible(HttpRequest request) => !IPAddress.TryParse(request.Host.Host.Trim('[', ']'), out _)
        && (request.IsHttps || request.Host.Host.Equals("localhost", StringComparison.OrdinalIgnoreCase));

    /// <summary>As much of a store as proving takes: what changes is written by <see cref="Passkeys"/> itself.</summary>
    sealed class PasskeyStore(PeopleStore people, Passkeys passkeys) : IUserPasskeyStore<Person>
    {
        public async Task<Person?> FindByIdAsync(string userId, CancellationToken cancellationToken) =>
            (await people.FindAsync(userId, cancellationToken))?.Person;

        public async Task<Person?> FindByNameAsync(string normalizedUserName, CancellationToken cancellationToken) =>
            (await people.FindByNameAsync(normalizedUserName, cancellationToken))?.Person;

        public Task<string> GetUserIdAsync(Person user, CancellationToken cancellationToken) => Task.FromResult(user.Id);

        public Task<string?> GetUserNameAsync(Person user, CancellationToken cancellationToken) => Task.FromResult<string?>(user.Name);

        public Task<string?> GetNormalizedUserNameAsync(Person user, CancellationToken cancellationToken) =>
            Task.FromResult<string?>(PersonNames.Normalised(user.Name));

        public async Task<IList<UserPasskeyInfo>> GetPasskeysAsync(Person user, CancellationToken cancellationToken) =>
            [.. (await passkeys.OfAsync(user.Id, cancellationToken)).Select(p => p.Info)];

        public async Task<Person?> FindByPasskeyIdAsync(byte[] credentialId, CancellationToken cancellationToken) =>
            await passkeys.FindAsync(credentialId, cancellationToken) is { } passkey
                ? (await people.FindAsync(passkey.Person, cancellationToken))?.Person : null;

        public async Task<UserPasskeyInfo?> FindPasskeyAsync(Person user, byte[] credentialId, CancellationToken cancellationToken) =>
            await passkeys.FindAsync(credentialId, cancellationToken) is { } passkey && passkey.Person == user.Id ? passkey.Info : null;

        public Task AddOrUpdatePasskeyAsync(Person user, UserPasskeyInfo passkey, CancellationToken cancellationToken) => throw No();

        public Task RemovePasskeyAsync(Person user, byte[] credentialId, CancellationToken cancellationToken) => throw No();

        public Task SetUserNameAsync(Person user, string? userName, CancellationToken cancellationToken) => throw No();

        public Task SetNormalizedUserNameAsync(Person user, string? normalizedName, CancellationToken cancellationToken) => throw No();

        public Task<IdentityResult> CreateAsync(Person user, CancellationToken cancellationToken) => throw No();

        public Task<IdentityResult> UpdateAsync(Person user, CancellationToken cancellationToken) => throw No();

        public Task<IdentityResult> DeleteAsync(Person user, CancellationToken cancellationToken) => throw No();

        public void Dispose()
        {
            // Nothing is its own.
        }

        static NotSupportedException No() => new("People and passkeys are changed by their own stores.");
    }
}
