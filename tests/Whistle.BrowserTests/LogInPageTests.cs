using System.Text.RegularExpressions;

using Deque.AxeCore.Playwright;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.People;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>People who log in by password, code and passkey, and look after their account, in a real browser.</summary>
public sealed class LogInPageTests(Chromium chromium) : IAsyncDisposable
{
    const string Password = "correct horse battery staple";

    readonly List<string> _found = [];
    readonly List<string> _complaints = [];
    IBrowserContext? _context;
    IPage _page = null!;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        if (_context is not null)
            await _context.CloseAsync();
    }

    [Fact]
    public async Task Somebody_who_is_invited_chooses_a_password_adds_an_app_and_logs_in_with_codes()
    {
        await using var scene = await Scene.StartAsync(Cancellation);
        await OpenAsync(scene);
        await BeginAsync(scene, "ann");
        await _page.GetByRole(AriaRole.Link, new() { Name = "ann" }).ClickAsync();
        await Assertions.Expect(_page.GetByRole(AriaRole.Heading, new() { Name = "Your account" })).ToBeVisibleAsync();
        await LooksAsync("account");

        await ClickAsync("Set up an app");
        await LooksAsync("account-app");
        var key = (await _page.Locator("#key").InnerTextAsync()).Replace(" ", "", StringComparison.Ordinal);
        await _page.GetByLabel("Code that the app shows").FillAsync(Code(key, 0));
        await _page.GetByLabel("Present password").FillAsync(Password);
        await ClickAsync("Turn on");
        var codes = await _page.Locator(".codes code").AllInnerTextsAsync();
        Assert.Equal(RecoveryCodes.Count, codes.Count);
        await LooksAsync("account-codes");
        await _page.GetByRole(AriaRole.Link, new() { Name = "I have kept them" }).ClickAsync();
        await Assertions.Expect(_page.GetByText("10 of 10 recovery codes are left.")).ToBeVisibleAsync();
        await LooksAsync("account-with-app");
        await LogOutAsync();

        await LogInAsync("ann", Password);
        await Assertions.Expect(_page.GetByLabel("Code", new() { Exact = true })).ToBeVisibleAsync();
        await LooksAsync("login-code");
        await EnterAsync("000000");
        await Assertions.Expect(_page.GetByRole(AriaRole.Alert)).ToContainTextAsync("That did not work");
        await LooksAsync("login-code-wrong");
        await EnterAsync(Code(key, 1));
        await IsInAsync();

        await LogOutAsync();
        await LogInAsync("ann", Password);
        await EnterAsync(codes[0]);
        await IsInAsync();
        await LogOutAsync();
        await LogInAsync("ann", Password);
        await EnterAsync(codes[0]);
        await Assertions.Expect(_page.GetByRole(AriaRole.Alert)).ToContainTextAsync("That did not work");
        Assert.Equal([], _found);
        Assert.DoesNotContain(_complaints, c => c.Contains("Content Security Policy", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Whoever_is_locked_out_is_told_no_more_than_anybody_and_comes_in_when_enabled()
    {
        await using var scene = await Scene.StartAsync(Cancellation);
        await OpenAsync(scene);
        await BeginAsync(scene, "ann");
        await LogOutAsync();
        await LooksAsync("login-form");
        for (var i = 0; i < new LogInOptions().WrongBeforeLock; i++)
            await LogInAsync("ann", "wrong wrong wrong");
        var said = await _page.GetByRole(AriaRole.Alert).First.InnerTextAsync();
        await LooksAsync("login-wrong");
        await LogInAsync("ann", Password);
        Assert.Equal(said, await _page.GetByRole(AriaRole.Alert).First.InnerTextAsync());

        await scene.App.Services.GetRequiredService<PeopleStore>().EnableAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), "ann", Cancellation);
        await LogInAsync("ann", Password);
        await IsInAsync();
        Assert.Equal([], _found);
    }

    [Fact]
    public async Task A_passkey_is_added_logs_in_alone_and_is_removed()
    {
        await using var scene = await Scene.StartAsync(Cancellation);
        await OpenAsync(scene);
        var device = await _context!.NewCDPSessionAsync(_page);
        await device.SendAsync("WebAuthn.enable");
        await device.SendAsync("WebAuthn.addVirtualAuthenticator", new Dictionary<string, object>
        {
            ["options"] = new Dictionary<string, object>
            {
                ["protocol"] = "ctap2",
                ["transport"] = "internal",
                ["hasResidentKey"] = true,
                ["hasUserVerification"] = true,
                ["isUserVerified"] = true,
                ["automaticPresenceSimulation"] = true,
            },
        });
        await BeginAsync(scene, "ann");
        await _page.GotoAsync("/account");
        var form = _page.Locator("form[data-new]");
        await form.GetByLabel("Name of the device").FillAsync("my laptop");
        await form.GetByLabel("Present password").FillAsync(Password);
        await ClickAsync("Add a passkey");
        await Assertions.Expect(_page.GetByText("The passkey is added.")).ToBeVisibleAsync();
        await Assertions.Expect(_page.GetByText("my laptop")).ToBeVisibleAsync();
        await LooksAsync("account-passkey");

        await LogOutAsync();
        for (var i = 0; i < 2; i++)
        {
            await LooksAsync("login-passkey");
            // However it was led here, it leads on to the dashboard.
            await _page.GotoAsync("/login?ReturnUrl=https%3A%2F%2Felsewhere.example%2F&returnUrl=%2F%2Felsewhere.example%2F");
            await ClickAsync("Log in with a passkey");
            await IsInAsync();
            if (i == 0)
                await LogOutAsync();
        }

        var audit = scene.App.Services.GetRequiredService<AuditLog>();
        Assert.Equal(2, (await audit.ListAsync(new(Actor: "ann", Action: "log-in"), 10, Cancellation)).Count(
            e => e.What.Details.Contains("passkey", StringComparison.Ordinal)));
        Assert.Equal("my laptop", Assert.Single(await audit.ListAsync(new(Action: "add-passkey"), 10, Cancellation)).What.Subject);
        await _page.GotoAsync("/account");
        await _page.GetByText("Remove", new() { Exact = true }).First.ClickAsync();
        await _page.Locator(".rows details").GetByLabel("Present password").FillAsync(Password);
        await ClickAsync("Remove");
        await Assertions.Expect(_page.GetByText("The passkey is removed")).ToBeVisibleAsync();
        await LogOutAsync();
        await ClickAsync("Log in with a passkey");
        await Assertions.Expect(_page.GetByRole(AriaRole.Alert).First).ToContainTextAsync("That did not work");
        Assert.Equal([], _found);
        Assert.DoesNotContain(_complaints, c => c.Contains("Content Security Policy", StringComparison.Ordinal));
    }

    async Task OpenAsync(Scene scene)
    {
        var browser = await chromium.BrowserAsync();
        // Passkeys are of a name, and of none in digits.
        _context = await browser.NewContextAsync(new()
        {
            BaseURL = $"http://localhost:{scene.App.Address.Port}",
            ReducedMotion = ReducedMotion.Reduce,
        });
        _page = await _context.NewPageAsync();
        _page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
                _complaints.Add(message.Text);
        };
    }

    async Task BeginAsync(Scene scene, string name)
    {
        var (token, _) = await scene.App.Services.GetRequiredService<Invitations>().InviteAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), null, [new(Role.Admin, AccessScope.All)],
            Invitations.Usual, Cancellation);
        await _page.GotoAsync($"/invitation?token={token}");
        await LooksAsync("invitation");
        await _page.GetByLabel("Name").FillAsync(name);
        await _page.GetByLabel("New password").FillAsync("password1234");
        await _page.GetByLabel("The same again").FillAsync("password1234");
        await ClickAsync("Begin");
        await Assertions.Expect(_page.GetByRole(AriaRole.Alert)).ToContainTextAsync("guessed early");
        await LooksAsync("invitation-wrong");
        await _page.GetByLabel("New password").FillAsync(Password);
        await _page.GetByLabel("The same again").FillAsync(Password);
        await ClickAsync("Begin");
        await IsInAsync();
    }

    async Task LogInAsync(string name, string password)
    {
        await _page.GotoAsync("/login");
        await _page.GetByLabel("Name").FillAsync(name);
        await _page.GetByLabel("Password").FillAsync(password);
        await ClickAsync("Log in");
    }

    async Task EnterAsync(string code)
    {
        await _page.GetByLabel("Code", new() { Exact = true }).FillAsync(code);
        await ClickAsync("Log in");
    }

    Task ClickAsync(string button) => _page.GetByRole(AriaRole.Button, new() { Name = button, Exact = true }).ClickAsync();

    async Task LogOutAsync()
    {
        await ClickAsync("Log out");
        await Assertions.Expect(_page.GetByRole(AriaRole.Heading, new() { Name = "Log in to Whistle" })).ToBeVisibleAsync();
    }

    // The page that says so leads on by itself.
    async Task IsInAsync()
    {
        await _page.WaitForURLAsync(new Regex("^[^?]*:[0-9]+/$"));
        await _page.WaitForSelectorAsync("main[data-live]");
    }

    async Task LooksAsync(string name)
    {
        foreach (var (theme, width) in Scenes.Looks)
        {
            await _page.EmulateMediaAsync(new() { ColorScheme = theme });
            await _page.SetViewportSizeAsync(width == 375 ? 390 : width, 900);
            await Pictures.TakeAsync(_page, $"{name}-{theme}-{width}");
            _found.AddRange((await _page.RunAxe()).Violations.SelectMany(
                v => v.Nodes.Select(n => $"{name}-{theme}-{width}: {v.Id}: {n.Html[..Math.Min(160, n.Html.Length)]}")));
        }

        await _page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
        await _page.SetViewportSizeAsync(1440, 900);
    }

    static string Code(string key, int off) => OneTimeCodes.CodeOf(
        OneTimeCodes.Decode(key), OneTimeCodes.StepOf(TimeProvider.System.GetUtcNow()) + off);
}
