using System.Text.RegularExpressions;

using Microsoft.Playwright;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>What a person changes on the pages of tenants.</summary>
public sealed class TenantPageTests(Chromium chromium)
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_node_is_archived_and_unarchived_by_keyboard_alone()
    {
        await using var scene = await Scenes.TenantsAsync(Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        await person.GoAsync("/tenants");
        // The first row and its link, then along the rows of the page.
        await person.KeysAsync("j");
        await person.TabToAsync("ACME Corporation");
        await person.KeysAsync("Enter");
        await person.SeesAsync(person.Page.GetByRole(AriaRole.Heading, new() { Name = "ACME Corporation" }));
        await person.TabToAsync("Production");
        await person.KeysAsync("Enter");
        await person.SeesAsync(person.Page.GetByRole(AriaRole.Heading, new() { Name = "Cluster Production" }));
        await person.TabToAsync("web-1");
        await person.KeysAsync("Enter");
        await person.SeesAsync(person.Page.GetByRole(AriaRole.Heading, new() { Name = "web-1" }));

        await person.TabToAsync("Archive…");
        await person.KeysAsync("Enter");
        await person.SeesAsync(person.Page.GetByRole(AriaRole.Dialog, new() { Name = "Archive web-1" }));
        await person.KeysAsync("Escape");
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Archive…", Exact = true })).ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Archive", Exact = true })).ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await person.SeesAsync(person.Text("Its reports are refused, and nobody misses them."));
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Unarchive…" })).ToBeFocusedAsync();
        Assert.Contains(await scene.App.Credentials.Register.ArchivedNodesAsync(Cancellation), n => n.Id.Node == "web-1");

        await person.KeysAsync("Enter");
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Unarchive", Exact = true })).ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Button, new() { Name = "Archive…", Exact = true })).ToBeFocusedAsync();
        Assert.DoesNotContain(await scene.App.Credentials.Register.ArchivedNodesAsync(Cancellation), n => n.Id.Node == "web-1");
    }

    [Fact]
    public async Task Each_fault_of_a_dialog_is_said_at_its_field_which_has_the_focus()
    {
        await using var scene = await Scenes.TenantsAsync(Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await person.GoAsync("/tenants/acme");
        foreach (var (dialog, confirm, field, value, fault) in new[]
        {
            ("Edit…", "Save", "Name", "", "Fill this in"), ("Edit…", "Save", "Contacts", new string('x', 301), "each has 1 to 300"),
            ("Edit…", "Save", "Labels", "a=1\na=2", "is there twice"), ("Edit…", "Save", "Labels", "Zone=eu", "is not taken"),
            ("Limits…", "Save", "New series within an hour", "0", "0 is less than 1"),
            ("Limits…", "Save", "Series in the store", "1", "less than series"),
            ("Limits…", "Save", "Samples a second", "many", "is not a whole number"),
            ("Limits…", "Save", "Bytes a second", "-1", "is not a whole number"),
            ("Limits…", "Save", "Days kept", "0", "not between"),
            ("Add a cluster…", "Add", "Id", "no id", "not a valid cluster name"),
            ("Add a cluster…", "Add", "Id", "retired", "There is a cluster"),
        })
        {
            await page.GetByRole(AriaRole.Button, new() { Name = dialog, Exact = true }).First.ClickAsync();
            var input = page.GetByRole(AriaRole.Dialog).GetByLabel(field);
            await input.FillAsync(value);
            await page.GetByRole(AriaRole.Button, new() { Name = confirm, Exact = true }).ClickAsync();
            await Assertions.Expect(input).ToHaveAccessibleDescriptionAsync(new Regex(fault, RegexOptions.IgnoreCase));
            await Assertions.Expect(input).ToHaveAttributeAsync("aria-invalid", "true");
            await Assertions.Expect(input).ToBeFocusedAsync();
            await Assertions.Expect(page.Locator("#act [aria-invalid]")).ToHaveCountAsync(1);
            await person.KeysAsync("Escape");
            await Assertions.Expect(page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        }
    }

    [Fact]
    public async Task A_tenant_is_added_edited_and_archived_and_a_mistake_is_said_at_its_field()
    {
        await using var scene = await Scene.StartAsync(Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        await person.GoAsync("/tenants");
        var page = person.Page;
        await page.GetByRole(AriaRole.Button, new() { Name = "Add a tenant…" }).ClickAsync();
        await Assertions.Expect(page.GetByLabel("Id")).ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await Assertions.Expect(page.GetByLabel("Id")).ToHaveAccessibleDescriptionAsync(new Regex("Fill this in."));
        await page.GetByLabel("Id").FillAsync("acme");
        await page.GetByLabel("Labels").FillAsync("zone");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }).ClickAsync();
        await Assertions.Expect(page.GetByLabel("Labels")).ToBeFocusedAsync();
        await Assertions.Expect(page.GetByLabel("Labels")).ToHaveAccessibleDescriptionAsync(new Regex("is no label"));
        await Assertions.Expect(page.GetByLabel("Labels")).ToHaveAttributeAsync("aria-invalid", "true");
        await page.GetByLabel("Labels").FillAsync("zone=eu-1");
        await page.GetByRole(AriaRole.Button, new() { Name = "Add", Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "acme" }).ClickAsync();

        await page.GetByRole(AriaRole.Button, new() { Name = "Edit…" }).ClickAsync();
        await page.GetByLabel("Name").FillAsync("ACME Corp");
        await page.GetByLabel("Contacts").FillAsync("ann\nbob");
        await page.GetByRole(AriaRole.Button, new() { Name = "Save" }).ClickAsync();
        await person.SeesAsync(page.GetByRole(AriaRole.Heading, new() { Name = "ACME Corp" }));
        await person.SeesAsync(page.GetByRole(AriaRole.Listitem).Filter(new() { HasText = "bob" }));

        await page.GetByRole(AriaRole.Button, new() { Name = "Add a cluster…" }).ClickAsync();
        await page.GetByLabel("Id").FillAsync("prod");
        await person.KeysAsync("Enter");
        await page.GetByRole(AriaRole.Button, new() { Name = "Archive prod…" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Archive", Exact = true }).ClickAsync();
        await person.SeesAsync(page.GetByRole(AriaRole.Button, new() { Name = "Unarchive prod…" }));

        await page.GetByRole(AriaRole.Button, new() { Name = "Limits…" }).ClickAsync();
        await page.GetByLabel("Active series").FillAsync("0");
        await person.KeysAsync("Enter");
        await Assertions.Expect(page.GetByLabel("Active series")).ToHaveAccessibleDescriptionAsync(new Regex("0 is less than 1"));
        // What is lost then is lost for good.
        var save = page.GetByRole(AriaRole.Button, new() { Name = "Save" });
        await Assertions.Expect(save).ToHaveClassAsync(new Regex("is-main"));
        await page.GetByLabel("Days kept").FillAsync("7");
        await Assertions.Expect(save).ToHaveClassAsync(new Regex("is-danger"));
        await page.GetByLabel("Days kept").FillAsync("");
        await Assertions.Expect(save).ToHaveClassAsync(new Regex("is-main"));
        await page.GetByLabel("Active series").FillAsync("50000");
        await person.KeysAsync("Enter");
        await person.SeesAsync(person.Text("50,000"));

        await page.GetByRole(AriaRole.Button, new() { Name = "Archive…", Exact = true }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Archive", Exact = true }).ClickAsync();
        await person.SeesAsync(page.GetByRole(AriaRole.Button, new() { Name = "Unarchive…", Exact = true }));
        var tenant = Assert.Single(await scene.App.Credentials.Register.TenantsAsync(Cancellation));
        Assert.True(tenant.History.IsArchived);
        Assert.Equal(("ACME Corp", 50_000, "eu-1"), (tenant.Entry.Name, tenant.Limits.Series, tenant.Entry.Labels["zone"]));
    }
}
