using Microsoft.AspNetCore.Identity;
using Microsoft.Extensions.Options;

using Whistle.State;

namespace Whistle.Inventory.People;

/// <summary>
/// Hashes passwords, two at a time and on threads that give way to all others, for that is meant to take long: a flood of log-ins takes
/// no more than two processors that nobody else needs, and whoever cannot be served soon is sent away at once.
/// </summary>
public sealed class Passwords : IDisposable
{
    /// <summary>How many hashes are made at once.</summary>
    public const int AtOnce = 2;

    /// <summary>How many wait for their turn.</summary>
    public const int MostWaiting = 16;

    static readonly Person Nobody = new() { Id = "", Name = "" };

    // About a tenth of a second; hashes with fewer are still known.
    static readonly PasswordHasher<Person> Hasher = new(Options.Create(new PasswordHasherOptions { IterationCount = 210_000 }));

    // Of what nobody knows: to take as long for whoever has no password.
    static readonly Lazy<string> Dummy = new(() => Hasher.HashPassword(Nobody, Guid.NewGuid().ToString()));

    readonly SemaphoreSlim _turns = new(AtOnce);
    int _asking;

    /// <summary>Null where too many ask.</summary>
    public Task<string?> HashAsync(string password, CancellationToken cancellation) =>
        InTurnAsync(() => Hasher.HashPassword(Nobody, password), cancellation);

    /// <summary>Whether it is that password; null where too many ask. Without a hash it takes as long, and is wrong.</summary>
    public async Task<bool?> VerifyAsync(string? hash, string password, CancellationToken cancellation) =>
        await InTurnAsync(() => Verify(hash, password).ToString(), cancellation) is not { } result ? null
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

    async Task<string?> InTurnAsync(Func<string> work, CancellationToken cancellation)
    {
        try
        {
            if (Interlocked.Increment(ref _asking) > AtOnce + MostWaiting)
                return null;
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
            Interlocked.Decrement(ref _asking);
        }
    }
}
