using System.Net;

using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

using Whistle.State;

namespace Whistle.Inventory.People;

/// <summary>
/// Hashes passwords, a few at a time and on threads that give way to all others, for that is meant to take long: a flood of log-ins takes
/// no more than so many processors, and only what nobody else needs of them. Whoever cannot be served soon is sent away at once. Right
/// passwords cost as much as wrong ones, so nobody has all places: one account has <see cref="MostOfAccount"/>, and one address a quarter.
/// </summary>
public sealed class Passwords(LogInOptions options) : IDisposable
{
    public const int MostOfAccount = 2;

    static readonly Person Nobody = new() { Id = "", Name = "" };

    // About a tenth of a second; hashes with fewer are still known.
    static readonly PasswordHasher<Person> Hasher = new(Options.Create(new PasswordHasherOptions { IterationCount = 210_000 }));

    // Of what nobody knows: to take as long for whoever has no password.
    static readonly Lazy<string> Dummy = new(() => Hasher.HashPassword(Nobody, Guid.NewGuid().ToString()));

    readonly SemaphoreSlim _turns = new(options.HashesAtOnce);
    readonly Lock _gate = new();
    readonly Dictionary<string, int> _ofAccounts = [];
    readonly Dictionary<string, int> _ofAddresses = [];
    int _all;

    /// <summary>All places: of those whose turn it is, and of those who wait.</summary>
    public int Places { get; } = options.HashesAtOnce + options.HashesWaiting;

    /// <summary>Of one address.</summary>
    public int MostOfAddress => Math.Max(1, Places / 4);

    /// <summary>
    /// Hashes what somebody has chosen, where it is not one that is guessed early: that is found out with as many at a time.
    /// </summary>
    /// <param name="name">Whose it will be.</param>
    /// <param name="account">As for <see cref="HashAsync"/>.</param>
    /// <returns>Null where too many ask.</returns>
    public Task<ChosenPassword?> ChooseAsync(
        string password, string name, string account, IPAddress? from, CancellationToken cancellation) => InTurnAsync(
        () => PasswordRules.Mistake(password, name) is { } mistake
            ? new ChosenPassword(null, mistake) : new(Hasher.HashPassword(Nobody, password), null),
        account, from, cancellation);

    /// <summary>Null where too many ask.</summary>
    /// <param name="account">Whose password it is: a name, whether or not anybody has it, or an invitation.</param>
    public Task<string?> HashAsync(string password, string account, IPAddress? from, CancellationToken cancellation) =>
        InTurnAsync(() => Hasher.HashPassword(Nobody, password), account, from, cancellation);

    /// <summary>Whether it is that password; null where too many ask. Without a hash it takes as long, and is wrong.</summary>
    /// <param name="account">As for <see cref="HashAsync"/>.</param>
    public async Task<bool?> VerifyAsync(
        string? hash, string password, string account, IPAddress? from, CancellationToken cancellation) =>
        await InTurnAsync(() => Verify(hash, password).ToString(), account, from, cancellation) is not { } result ? null
            : hash is not null && result != nameof(PasswordVerificationResult.Failed);

    public void Dispose() => _turns.Dispose();

    static PasswordVerificationResult Verify(string? hash, string password)
    {
        // What nobody could have chosen is as wrong as any, and is not hashed at length.
        var tried = password.Length > PasswordRules.Longest ? "" : password;
        try
        {
            return Hasher.VerifyHashedPassword(Nobody, hash ?? Dummy.Value, tried);
        }
        catch (FormatException)
        {
            return PasswordVerificationResult.Failed;
        }
    }

    async Task<T?> InTurnAsync<T>(Func<T> work, string account, IPAddress? from, CancellationToken cancellation)
        where T : class
    {
        var (name, address) = (PersonNames.Normalised(account), CallerNetwork.Of(from));
        if (!Enter(name, address))
            return null;
        try
        {
            await _turns.WaitAsync(cancellation);
            try
            {
                return await BackgroundThread.Run(work, CancellationToken.None);
            }
            finally
            {
                _turns.Release();
            }
        }
        finally
        {
            Leave(name, address);
        }
    }

    bool Enter(string name, string address)
    {
        lock (_gate)
        {
            var (ofAccount, ofAddress) = (_ofAccounts.GetValueOrDefault(name), _ofAddresses.GetValueOrDefault(address));
            if (_all >= Places || ofAccount >= MostOfAccount || ofAddress >= MostOfAddress)
                return false;
            (_all, _ofAccounts[name], _ofAddresses[address]) = (_all + 1, ofAccount + 1, ofAddress + 1);
            return true;
        }
    }

    void Leave(string name, string address)
    {
        lock (_gate)
        {
            _all--;
            if (--_ofAccounts[name] == 0)
                _ofAccounts.Remove(name);
            if (--_ofAddresses[address] == 0)
                _ofAddresses.Remove(address);
        }
    }
}

/// <param name="Hash">Null where nobody can have it.</param>
/// <param name="Mistake">Then why.</param>
public sealed record ChosenPassword(string? Hash, string? Mistake);
