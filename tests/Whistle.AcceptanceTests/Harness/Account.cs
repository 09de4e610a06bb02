using System.Net;
using System.Text.RegularExpressions;

using Microsoft.Extensions.DependencyInjection;

using Whistle.Access;
using Whistle.Inventory.Access;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Somebody with a password of their own, and the pages that they log in and look after themselves with.</summary>
sealed partial class Account(WhistleApp app, string name, string password)
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public string Name => name;

    public string Password { get; set; } = password;

    /// <summary>Each code counts once, so a test takes one of another step each time.</summary>
    public string? Key { get; private set; }

    /// <summary>The code that turned the second factor on.</summary>
    public string? UsedCode { get; private set; }

    public static async Task<Account> AddAsync(InProcessServer server, string name, string password = "correct horse battery staple")
    {
        var token = await InviteAsync(server, name);
        var account = new Account(server.App, name, password);
        using var browser = new Browser();
        var (status, text, _) = await browser.SendAsync(
            new(server.App.Address, "invitation"), Cancellation, ("token", token), ("password", password), ("again", password));
        Assert.True(status == 200, text);
        return account;
    }

    public static async Task<string> InviteAsync(InProcessServer server, string? name)
    {
        var (token, outcome) = await server.App.Services.GetRequiredService<Invitations>().InviteAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), name, [new(Role.Viewer, AccessScope.All)],
            Invitations.Usual, Cancellation);
        Assert.Equal(PeopleOutcome.Done, outcome);
        return token!;
    }

    public Uri At(string path) => new(app.Address, path);

    public async Task<Person> PersonAsync() =>
        (await app.Services.GetRequiredService<PeopleStore>().FindByNameAsync(name, Cancellation))!.Person;

    public async Task<(int Status, string Text)> LogInAsync(Browser browser, string? with = null)
    {
        var (status, text, _) = await browser.SendAsync(At("login"), Cancellation, ("name", name), ("password", with ?? Password));
        return (status, text);
    }

    public async Task<Browser> LoggedInAsync()
    {
        var browser = new Browser();
        var (status, text) = await LogInAsync(browser);
        Assert.True(status == 200 && await browser.IsLoggedInAsync(app.Address, Cancellation), text);
        return browser;
    }

    public async Task<(int Status, string Text)> ActAsync(Browser browser, string act, params (string Name, string Value)[] fields)
    {
        var (status, text, headers) = await browser.SendAsync(At("account"), Cancellation, [("act", act), .. fields]);
        return (status, status == 303 ? headers.Location!.ToString() : text);
    }

    /// <param name="browser">Is logged in.</param>
    /// <param name="proof">A code of the app that there was.</param>
    /// <returns>The recovery codes.</returns>
    public async Task<IReadOnlyList<string>> TurnOnAsync(Browser browser, string proof = "")
    {
        var (_, page) = await ActAsync(browser, "new-authenticator");
        Key = KeyPattern().Match(page).Groups[1].Value.Replace(" ", "", StringComparison.Ordinal);
        UsedCode = Code(0);
        var (status, text) = await ActAsync(
            browser, "turn-on-second-factor", ("key", Value(page, "key")), ("code", UsedCode), ("old", Password),
            (AccountView.Proof, proof));
        Assert.True(status == 200, text);
        return CodesOf(text);
    }

    /// <summary>The recovery codes that the page shows.</summary>
    public static IReadOnlyList<string> CodesOf(string page) => [.. CodePattern().Matches(page).Select(m => m.Groups[1].Value)];

    /// <param name="off">How many steps from now.</param>
    public string Code(int off) => OneTimeCodes.CodeOf(
        OneTimeCodes.Decode(Key!), OneTimeCodes.StepOf(TimeProvider.System.GetUtcNow()) + off);

    /// <summary>Of a field that is not shown.</summary>
    public static string Value(string page, string field) => WebUtility.HtmlDecode(
        Regex.Match(page, $"name=\"{field}\" value=\"([^\"]*)\"").Groups[1].Value);

    [GeneratedRegex("<code id=\"key\">([A-Z2-7 ]+)</code>")]
    private static partial Regex KeyPattern();

    [GeneratedRegex("<li><code>([A-Z2-7-]{29})</code></li>")]
    private static partial Regex CodePattern();
}
