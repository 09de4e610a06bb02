using System.Text.RegularExpressions;

using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;

using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>What is done on the pages is in the audit, and the audit is a page.</summary>
public sealed class AuditPageTests(Chromium chromium)
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_a_person_does_and_reads_on_the_pages_is_found_on_the_page_of_the_audit_by_keyboard()
    {
        await using var scene = await Scene.StartAsync(Cancellation, new Disk(new("acme", "production", "web-3"), "/data", 0.5));
        var audit = scene.App.Services.GetRequiredService<AuditLog>();
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await person.KeysAsync("s");
        await page.GetByRole(AriaRole.Dialog).GetByRole(AriaRole.Button, new() { Name = "Stop all repairs" }).ClickAsync();
        await person.SeesAsync(page.GetByText("All repairs are stopped.").First);

        var done = Assert.Single(await audit.ListAsync(new(Action: "set-kill-switch"), 10, Cancellation));
        Assert.Equal(("operator", "local", "127.0.0.1", AuditOutcome.Done), (
            done.What.Actor.Name, done.What.Actor.Identity, done.What.Actor.From, done.What.Outcome));
        Assert.Equal("""{"on":true,"reason":""}""", done.What.Details);
        await person.GoAsync("/nodes/acme/production/web-3");
        await person.KeysAsync("g", "a");
        await Assertions.Expect(page).ToHaveURLAsync(new Regex(Regex.Escape("/audit") + "$"));
        var rows = page.Locator("tbody tr");
        await person.SeesAsync(rows.Filter(new() { HasText = "set-kill-switch" }).Filter(new() { HasText = "127.0.0.1" }));
        await person.SeesAsync(rows.Filter(new() { HasText = "log-in" }));
        await person.SeesAsync(rows.Filter(new() { HasText = "page-node" }).Filter(new() { HasText = "acme" }));

        // What comes in between is seen without a reload, and what is filtered for is in the address.
        await audit.AppendAsync(new(new("ann", "person:7", "192.0.2.1"), "approve-run", AccessScope.Of("acme"), "run-1"), Cancellation);
        await scene.StepsAsync(1, Cancellation);
        await person.SeesAsync(rows.Filter(new() { HasText = "run-1" }));
        await person.KeysAsync("/");
        await page.Keyboard.TypeAsync("an");
        await page.Keyboard.PressAsync("Enter");
        await Assertions.Expect(page).ToHaveURLAsync(new Regex(Regex.Escape("/audit?who=an") + "$"));
        await Assertions.Expect(rows).ToHaveCountAsync(1);
        // Escape would empty the field first, as browsers do.
        await page.Locator("[data-filter]").BlurAsync();
        await person.KeysAsync("j", "Enter");
        await Assertions.Expect(page).ToHaveURLAsync(new Regex(Regex.Escape("/audit?who=an&what=approve-run") + "$"));
        await page.GetByLabel("Outcome").SelectOptionAsync("failed");
        await person.SeesAsync(page.GetByText("Nothing matches."));
        await page.GetByRole(AriaRole.Link, new() { Name = "Show all of it." }).ClickAsync();
        await person.SeesAsync(rows.Filter(new() { HasText = "log-in" }));
        Assert.Empty(person.Complaints);
    }

    [Fact]
    public async Task A_hundred_thousand_entries_are_paged()
    {
        await using var scene = await Scene.StartAsync(Cancellation);
        var state = scene.App.Services.GetRequiredService<Whistle.State.StateDatabase>();
        for (var batch = 0; batch < 100; batch++)
        {
            await using var connection = await state.OpenAsync(Cancellation);
            await using var transaction = await connection.BeginWriteAsync(Cancellation);
            for (var i = 0; i < 1_000; i++)
                await AuditTable.AppendAsync(
                    connection, new(new("ann", "person:7", "192.0.2.1"), "approve-run", AccessScope.Of("acme"), $"run-{batch}-{i}"),
                    scene.Now, Cancellation);
            await transaction.CommitAsync(Cancellation);
        }

        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        await person.GoAsync("/audit?who=ann");
        var rows = person.Page.Locator("tbody tr");
        await person.SeesAsync(rows.Filter(new() { HasText = "run-99-999" }));
        await Assertions.Expect(rows).ToHaveCountAsync(100);
        await person.Page.GetByRole(AriaRole.Link, new() { Name = "Earlier" }).ClickAsync();
        await person.SeesAsync(rows.Filter(new() { HasText = "run-99-899" }));
        await person.Page.GetByRole(AriaRole.Link, new() { Name = "Latest" }).ClickAsync();
        await person.SeesAsync(rows.Filter(new() { HasText = "run-99-999" }));
        Assert.Null((await scene.App.Services.GetRequiredService<AuditLog>().VerifyAsync(null, Cancellation)).Fault);
    }
}
