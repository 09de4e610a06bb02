using System.Text.Json;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

using Whistle.Inventory.Audit;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Passkeys over HTTP, with a device of the test's own.</summary>
public sealed class PasskeyTests : IAsyncLifetime
{
    readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    readonly Browser _browser = new();
    InProcessServer _server = null!;
    Account _ann = null!;
    Device _device = null!;
    Uri _address = null!;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await InProcessServer.StartAsync(
            Cancellation, change: o => o with { RunTimers = false, LogIn = new() { Time = _time } });
        // Passkeys are of a name, and of none in digits.
        _address = new UriBuilder(_server.App.Address) { Host = "localhost" }.Uri;
        _device = new(_address.GetLeftPart(UriPartial.Authority));
        _ann = await Account.AddAsync(_server, "ann");
        Assert.Equal(200, (await _browser.SendAsync(
            new(_address, "login"), Cancellation, ("name", "ann"), ("password", _ann.Password))).Status);
    }

    public async ValueTask DisposeAsync()
    {
        _browser.Dispose();
        _device.Dispose();
        await _server.DisposeAsync();
    }

    [Fact]
    public async Task A_proof_logs_in_once_though_the_device_does_not_count()
    {
        Assert.Equal(303, await AddAsync(await NewAsync()));
        var (state, proof) = await ProofAsync();
        Assert.Equal(200, await LogInAsync(state, proof));
        Assert.Equal(401, await _time.UntilAsync(LogInAsync(state, proof)));
        Assert.Contains(
            await RefusedAsync(), e => e.What.Reason == "The same proof was used before." && e.What.Subject == "ann");
        (state, proof) = await ProofAsync();
        Assert.Equal(200, await LogInAsync(state, proof));
    }

    [Fact]
    public async Task A_key_that_was_removed_is_not_added_again_by_the_same_proof()
    {
        var made = await NewAsync();
        Assert.Equal(303, await AddAsync(made));
        var id = JsonDocument.Parse(made.Made).RootElement.GetProperty("id").GetString()!;
        Assert.Equal(303, (await ActAsync("remove-passkey", ("old", _ann.Password), ("id", id))).Status);
        Assert.Equal(400, await AddAsync(made));
        Assert.Equal(303, await AddAsync(await NewAsync()));
    }

    [Fact]
    public async Task A_challenge_lasts_a_quarter_of_an_hour()
    {
        var (late, inTime) = (await NewAsync(), await NewAsync());
        _time.Advance(TimeSpan.FromMinutes(15) - TimeSpan.FromSeconds(1));
        Assert.Equal(303, await AddAsync(inTime));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(400, await AddAsync(late));

        var (state, proof) = await ProofAsync();
        var (lateState, lateProof) = await ProofAsync();
        _time.Advance(TimeSpan.FromMinutes(15) - TimeSpan.FromSeconds(1));
        Assert.Equal(200, await LogInAsync(state, proof));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(401, await _time.UntilAsync(LogInAsync(lateState, lateProof)));
    }

    [Fact]
    public async Task A_device_that_asked_for_no_finger_face_or_PIN_neither_is_added_nor_logs_in()
    {
        _device.IsVerified = false;
        Assert.Equal(400, await AddAsync(await NewAsync()));
        _device.IsVerified = true;
        Assert.Equal(303, await AddAsync(await NewAsync()));
        _device.IsVerified = false;
        var (state, proof) = await ProofAsync();
        Assert.Equal(401, await _time.UntilAsync(LogInAsync(state, proof)));
    }

    [Fact]
    public async Task What_is_sealed_for_one_use_or_person_is_nothing_to_another()
    {
        var made = await NewAsync();
        Assert.Equal(303, await AddAsync(made));
        var (_, proof) = await ProofAsync();
        Assert.Equal(401, await _time.UntilAsync(LogInAsync(made.State, proof)));
        Assert.Equal(401, await _time.UntilAsync(LogInAsync("", proof)));

        var bob = await Account.AddAsync(_server, "bob");
        using var bobs = new Browser();
        await bobs.SendAsync(new(_address, "login"), Cancellation, ("name", "bob"), ("password", bob.Password));
        using var other = new Device(_address.GetLeftPart(UriPartial.Authority));
        var (_, page, _) = await bobs.OpenAsync(new(_address, "account"), Cancellation);
        var foreign = (Account.Value(Form(page), "state"), other.Make(Device.Asked(page, " data-new")));
        Assert.Equal(400, await AddAsync(foreign));
    }

    async Task<(string State, string Made)> NewAsync()
    {
        var (_, page, _) = await _browser.OpenAsync(new(_address, "account"), Cancellation);
        return (Account.Value(Form(page), "state"), _device.Make(Device.Asked(page, " data-new")));
    }

    async Task<int> AddAsync((string State, string Made) made) => (await ActAsync(
        "add-passkey", ("state", made.State), ("credential", made.Made), ("name", "laptop"), ("old", _ann.Password))).Status;

    async Task<(int Status, string Text)> ActAsync(string act, params (string Name, string Value)[] fields)
    {
        var (status, text, _) = await _browser.SendAsync(new(_address, "account"), Cancellation, [("act", act), .. fields]);
        return (status, text);
    }

    async Task<(string State, string Proof)> ProofAsync()
    {
        using var browser = new Browser();
        var (_, page, _) = await browser.OpenAsync(new(_address, "login"), Cancellation);
        return (Account.Value(page, "state"), _device.Prove(Device.Asked(page)));
    }

    // A failure waits on the clock that the test moves.
    async Task<int> LogInAsync(string state, string proof)
    {
        using var browser = new Browser();
        var (status, _, _) = await browser.SendAsync(new(_address, "login"), Cancellation, ("state", state), ("credential", proof));
        Assert.Equal(status == 200, await browser.IsLoggedInAsync(_address, Cancellation));
        return status;
    }

    async Task<IReadOnlyList<AuditEntry>> RefusedAsync() =>
        await _server.App.Services.GetRequiredService<AuditLog>().ListAsync(
            new(Action: "log-in", Outcome: AuditOutcome.Refused), 100, Cancellation);

    static string Form(string page) => page[page.IndexOf("data-new", StringComparison.Ordinal)..];
}
