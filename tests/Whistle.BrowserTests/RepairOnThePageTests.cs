using System.Text.RegularExpressions;

using Microsoft.Playwright;

using Whistle.Incidents;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runbooks;
using Whistle.Remediation.Runs;

using Xunit;

namespace Whistle.BrowserTests;

/// <summary>What a support engineer does with the pages, by mouse and by keyboard alone, without ever reloading one.</summary>
public sealed class RepairOnThePageTests(Chromium chromium)
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_incident_appears_is_repaired_and_closes_without_a_reload()
    {
        await using var scene = await Scene.StartAsync(
            Cancellation, new Disk(new("acme", "production", "web-3"), "/data", 0.73) { GainAnHour = 0.6, Cleaned = 0.4 });
        await scene.SetModeAsync("production", RunbookMode.Automatic);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await page.EvaluateAsync("window.sameDocument = true");
        await person.SeesAsync(page.GetByRole(AriaRole.Heading, new() { Name = "All is well." }));

        await scene.UntilAsync(async () => (await scene.Incidents.ActiveAsync(Cancellation)).Count > 0, Cancellation);
        var link = page.GetByRole(AriaRole.Link, new() { Name = "/data on web-3 runs out of space within 24 hours" }).First;
        await person.SeesAsync(link);
        await link.ClickAsync();
        await person.SeesAsync(page.GetByRole(AriaRole.Heading, new() { Name = "/data on web-3" }));
        await person.SeesAsync(page.Locator(".page-head .badge", new() { HasText = "held back" }));

        await scene.UntilAsync(
            async () => (await scene.Runs.SinceAsync(scene.Now, Cancellation))[0].State is RunState.Verifying, Cancellation);
        await person.SeesAsync(page.Locator(".run > .card-line .badge", new() { HasText = "verifying" }));
        await person.SeesAsync(page.Locator(".plan .result", new() { HasText = "Deleted 1,284 files" }));
        await scene.UntilAsync(async () => (await scene.Incidents.ActiveAsync(Cancellation)).Count == 0, Cancellation);
        await person.SeesAsync(page.Locator(".page-head .badge", new() { HasText = "closed" }));
        await person.SeesAsync(page.Locator(".timeline", new() { HasText = "Closed: all signals have been clear" }));
        Assert.True(await page.EvaluateAsync<bool>("window.sameDocument === true"));
    }

    [Fact]
    public async Task The_waiting_plan_is_approved_by_mouse()
    {
        await using var scene = await WaitingAsync();
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        await person.Page.Locator("section", new() { HasText = "Needs a person" })
            .GetByRole(AriaRole.Link, new() { Name = "/data on build-1" }).First.ClickAsync();
        await person.Page.GetByRole(AriaRole.Button, new() { Name = "Approve…" }).ClickAsync();
        var dialog = person.Page.GetByRole(AriaRole.Dialog);
        await person.SeesAsync(dialog.GetByText("disk.clean-paths"));
        await dialog.GetByRole(AriaRole.Button, new() { Name = "Approve" }).ClickAsync();
        await ApprovedAsync(scene, person);
    }

    [Fact]
    public async Task The_waiting_plan_is_approved_by_keyboard_alone()
    {
        await using var scene = await WaitingAsync();
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        // To the incidents, to the first row, into it; then yes, and yes again in the dialog.
        await person.KeysAsync("g", "i");
        await Assertions.Expect(person.Page).ToHaveURLAsync(new Regex(Regex.Escape("/incidents") + "$"));
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Heading, new() { Name = "Incidents", Exact = true })).ToBeFocusedAsync();
        await person.KeysAsync("j", "Enter");
        await person.SeesAsync(person.Page.GetByRole(AriaRole.Heading, new() { Name = "/data on build-1" }));
        await person.KeysAsync("y");
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Dialog).GetByRole(AriaRole.Button, new() { Name = "Approve" }))
            .ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await ApprovedAsync(scene, person);
    }

    [Fact]
    public async Task A_person_does_what_the_repair_asks_and_says_yes_to_the_step_that_asks_for_it()
    {
        const string runbook =
            """
            name: node-disk-filling
            summary: Free space with people's help
            answers: [{ signal: NodeFilesystemSpaceFillingUp, labels: { mountpoint: /.* } }]
            mode: automatic
            verify: { within: 3m, for: 1m }
            steps:
              - { name: ask-owner, task: "Ask the owner of ${mountpoint} whether it may be cleaned." }
              - { name: consent, approval: support }
              - { name: clean, action: disk.clean-paths, parameters: { mountPoint: "${mountpoint}" } }
            """;
        await using var scene = await Scene.StartAsync(
            runbook, Cancellation, new Disk(new("acme", "staging", "build-1"), "/data", 0.8) { GainAnHour = 0.02, Cleaned = 0.4 });
        await scene.SetModeAsync("staging", RunbookMode.Automatic);
        await scene.UntilAsync(
            async () => await scene.Runs.SinceAsync(scene.Now, Cancellation) is [{ State: RunState.Running }], Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await page.Locator("section", new() { HasText = "Needs a person" })
            .GetByRole(AriaRole.Link, new() { Name = "/data on build-1" }).First.ClickAsync();
        await person.SeesAsync(page.Locator("#why", new() { HasText = "waiting for a person to do this: Ask the owner of /data" }));
        await person.KeysAsync("t");
        var dialog = page.GetByRole(AriaRole.Dialog);
        await dialog.GetByLabel("What you did").FillAsync("The owner said yes.");
        await dialog.GetByRole(AriaRole.Button, new() { Name = "Mark as done" }).ClickAsync();
        await person.SeesAsync(page.Locator(".timeline", new() { HasText = "operator has done ask-owner: The owner said yes." }));

        await scene.UntilAsync(
            async () => (await scene.Runs.SinceAsync(scene.Now, Cancellation))[0].State is RunState.AwaitingApproval, Cancellation);
        await page.GetByRole(AriaRole.Button, new() { Name = "Approve…" }).ClickAsync();
        await person.SeesAsync(dialog.GetByRole(AriaRole.Heading, new() { Name = "Approve consent" }));
        await dialog.GetByRole(AriaRole.Button, new() { Name = "Approve" }).ClickAsync();
        await person.SeesAsync(page.Locator(".timeline", new() { HasText = "consent is approved by operator" }));
        await scene.UntilAsync(
            async () => await scene.Incidents.ActiveAsync(Cancellation) is [{ State: IncidentState.Recovering }], Cancellation);
        await person.SeesAsync(page.Locator(".plan .result", new() { HasText = "Deleted 1,284 files" }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Why_the_other_cluster_does_nothing_is_found_and_mended(bool byKeyboard)
    {
        await using var scene = await Scene.StartAsync(
            Cancellation, new Disk(new("globex", "edge", "edge-7"), "/data", 0.8) { GainAnHour = 0.02 });
        await scene.UntilAsync(async () => (await scene.Runs.SinceAsync(scene.Now, Cancellation)).Count > 0, Cancellation);
        await scene.StepsAsync(4, Cancellation);
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        if (byKeyboard)
        {
            await person.KeysAsync("g", "i");
            await Assertions.Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Incidents", Exact = true })).ToBeFocusedAsync();
            await person.KeysAsync("j", "Enter");
        }
        else
        {
            await page.Locator(".incidents").GetByRole(AriaRole.Link, new() { Name = "/data on edge-7" }).ClickAsync();
        }

        await person.SeesAsync(page.Locator("#why", new() { HasText = "The mode is observe" }));
        var mend = page.GetByRole(AriaRole.Link, new() { Name = "Change the mode of cluster edge" });
        if (byKeyboard)
        {
            await mend.FocusAsync();
            await person.KeysAsync("Enter");
        }
        else
        {
            await mend.ClickAsync();
        }

        await person.SeesAsync(page.GetByRole(AriaRole.Heading, new() { Name = "Cluster edge" }));
        await person.SeesAsync(page.GetByText("Shows plans, does nothing.").First);
        if (byKeyboard)
            await person.KeysAsync("m");
        else
            await page.GetByRole(AriaRole.Button, new() { Name = "Change the mode…" }).First.ClickAsync();
        var dialog = page.GetByRole(AriaRole.Dialog);
        await person.SeesAsync(dialog);
        if (byKeyboard)
        {
            await Assertions.Expect(dialog.Locator(":focus")).ToHaveCountAsync(1);
            await person.KeysAsync("ArrowDown", "ArrowDown", "Enter");
        }
        else
        {
            await dialog.GetByText("automatic", new() { Exact = true }).ClickAsync();
            await dialog.GetByRole(AriaRole.Button, new() { Name = "Set the mode" }).ClickAsync();
        }

        await person.SeesAsync(page.Locator(".modes .badge", new() { HasText = "automatic" }));
        Assert.Equal(
            ("operator", "node-disk-filling", RunbookMode.Automatic),
            (await scene.Control.ModesAsync(Cancellation)).Select(m => (m.Author, m.Runbook, m.Mode)).Single());
    }

    [Fact]
    public async Task Acknowledging_pausing_cancelling_and_stopping_ask_once_and_leave_the_persons_name()
    {
        await using var scene = await WaitingAsync();
        var id = (await scene.Incidents.ActiveAsync(Cancellation))[0].Id;
        await using var person = await BrowserPage.OpenAsync(await chromium.BrowserAsync(), scene);
        var page = person.Page;
        await person.GoAsync($"/incidents/{id}");
        await person.KeysAsync("a");
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog).GetByRole(AriaRole.Button, new() { Name = "Acknowledge" }))
            .ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await person.SeesAsync(page.GetByRole(AriaRole.Button, new() { Name = "Release…" }));
        Assert.Equal("operator", (await scene.Incidents.AcknowledgementAsync(id, scene.Now, Cancellation))!.Author);

        await ActAsync(person, "p", "we work on it");
        await scene.StepAsync(Cancellation);
        Assert.Equal(
            ("operator", "we work on it", "build-1"),
            (await scene.Control.PausesAsync(scene.Now, Cancellation)).Select(p => (p.Author, p.Reason, p.Node)).Single());

        // In an emergency it stops without a reason; resuming needs one.
        await person.KeysAsync("s");
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog).GetByLabel("Reason")).ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await person.SeesAsync(page.Locator(".bar", new() { HasText = "All repairs are stopped." }));
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        await person.KeysAsync("s");
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog).GetByLabel("Reason")).ToBeFocusedAsync();
        await person.KeysAsync("Enter");
        await person.SeesAsync(page.GetByText("Give a reason; it is recorded."));
        await person.KeysAsync("Escape");
        await Assertions.Expect(page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        Assert.Equal(("operator", KillSwitch.NoReason, true), (
            (await scene.Control.KillSwitchAsync(Cancellation)).Author, (await scene.Control.KillSwitchAsync(Cancellation)).Reason,
            (await scene.Control.KillSwitchAsync(Cancellation)).On));

        await ActAsync(person, "x", "no longer wanted");
        await scene.StepAsync(Cancellation);
        await person.SeesAsync(page.Locator(".run > .card-line .badge", new() { HasText = "cancelled" }));
        Assert.Equal("operator", Assert.Single(await scene.Runs.OfIncidentAsync(id, Cancellation)).CancelledBy);
    }

    static async Task ActAsync(BrowserPage person, string key, string reason)
    {
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
        await person.KeysAsync(key);
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Dialog).GetByLabel("Reason")).ToBeFocusedAsync();
        await person.Page.Keyboard.TypeAsync(reason);
        await person.KeysAsync("Enter");
        await Assertions.Expect(person.Page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0);
    }

    static async Task<Scene> WaitingAsync()
    {
        var scene = await Scene.StartAsync(
            Cancellation, new Disk(new("acme", "staging", "build-1"), "/data", 0.8) { GainAnHour = 0.02, Cleaned = 0.4 });
        await scene.SetModeAsync("staging", RunbookMode.Approve);
        await scene.UntilAsync(
            async () => await scene.Runs.SinceAsync(scene.Now, Cancellation) is [{ State: RunState.AwaitingApproval }], Cancellation);
        return scene;
    }

    static async Task ApprovedAsync(Scene scene, BrowserPage person)
    {
        await person.SeesAsync(person.Page.Locator(".timeline", new() { HasText = "Approved by operator" }));
        await scene.UntilAsync(async () => (await scene.Incidents.ActiveAsync(Cancellation)).All(
            i => i.State is IncidentState.Recovering) && (await scene.Incidents.ActiveAsync(Cancellation)).Count > 0, Cancellation);
        await person.SeesAsync(person.Page.Locator(".plan .result", new() { HasText = "Deleted 1,284 files" }));
    }
}
