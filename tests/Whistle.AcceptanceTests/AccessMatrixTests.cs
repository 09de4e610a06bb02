using System.Net;
using System.Reflection;
using System.Text.Json;

using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Endpoints;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Inventory.Access;
using Whistle.Inventory.Callers;
using Whistle.Remediation.Runbooks;
using Whistle.Web;
using Whistle.Web.Acts;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Every route of the running server and every act of a page, as every role, in the own tenant and with real ids of another: what
/// <c>docs/access.md</c> says.
/// </summary>
public sealed class AccessMatrixTests(ITestOutputHelper output)
{
    const string Mine = "acme";
    const string Theirs = "globex";

    static readonly AccessTable Table = AccessTable.Read();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_route_stands_in_the_table_as_it_is()
    {
        await using var server = await StartAsync();

        var routes = Routes(server).Select(r => (Line: $"| `{r.Name}` | {Needs(r.Access)} |", r.Name, r.Access)).ToList();

        var missing = string.Join('\n', routes.Where(r => !Table.Routes.ContainsKey(r.Name)).Select(r => r.Line));
        Assert.True(missing.Length == 0, $"docs/access.md lacks these routes:\n{missing}");
        Assert.Equal([], Table.Routes.Keys.Except(routes.Select(r => r.Name)));
        Assert.Equal([], routes.Where(r => Table.Routes[r.Name].Needs != Needs(r.Access)).Select(r => r.Line));
        Assert.Equal([], routes.Where(r => (Table.Routes[r.Name].Foreign is "all" or "local") != r.Access.Everywhere).Select(r => r.Line));
        Assert.All(server.App.Endpoints.OfType<RouteEndpoint>().Where(IsPage), e => Assert.Equal(
            "login", Needs(e.Metadata.GetMetadata<RouteAccess>()!)));
        Assert.All(routes.Where(r => r.Access.Permission is null), r => Assert.False(string.IsNullOrEmpty(r.Access.Reason), r.Name));
    }

    [Fact]
    public void Every_role_has_the_permissions_of_the_table() => Assert.All(Enum.GetValues<Role>(), role => Assert.Equal(
        Table.Roles[role.Name()].Order(), Enum.GetValues<Permission>().Where(p => role.Allows(p)).Select(Permissions.Name).Order()));

    [Fact]
    public async Task Every_route_answers_every_role_as_the_table_says()
    {
        await using var server = await StartAsync();
        var (mine, theirs) = (new Tenancy(server, Mine), new Tenancy(server, Theirs));
        await FillAsync(mine, theirs);
        List<string> wrong = [];
        var calls = 0;
        foreach (var someone in await EverybodyAsync(mine))
        {
            foreach (var (name, (needs, foreign)) in Table.Routes.Where(r => Table.Routes[r.Key].Needs is not ("login" or "nobody")))
            {
                var may = Table.Roles[someone.Role.Name()].Contains(needs) && foreign != "local"
                    && (foreign != "all" || someone.Scope.IsAll) && !(foreign.EndsWith("whole") && someone.Scope.Cluster is not null);
                calls += 2;
                var own = await CallAsync(someone.Http, name, await AccessExamples.OfAsync(name, mine));
                if (may ? own.Status is 401 or 403 or >= 500 || (own.Status is 404 && foreign != "all") : own.Status != 403)
                    wrong.Add($"{someone.Role.Name()} of {someone.Scope}: {name} in the own tenant: {own.Status} {own.Body}");
                if (foreign is "left out" or "all" or "local")
                {
                    Hush(own, name, someone);
                    continue;
                }

                // Who may do it nowhere is refused before anybody looks.
                var mayAnywhere = may || foreign.EndsWith("whole") && Table.Roles[someone.Role.Name()].Contains(needs);
                var expected = !mayAnywhere ? 403 : someone.Scope.IsAll ? 0 : int.Parse(foreign.Split(',')[0]);
                var example = await AccessExamples.OfAsync(name, theirs);
                var other = await CallAsync(someone.Http, name, example);
                if (expected == 0 ? other.Status is 401 or 403 or 404 : other.Status != expected)
                    wrong.Add($"{someone.Role.Name()} of {someone.Scope}: {name} in another tenant: {other.Status} {other.Body}");
                if (expected == 404 && (await NothingAsync(someone.Http, name, example)) is var nothing && nothing != (404, other.Body))
                    wrong.Add($"{name}: what is another's: {other.Body}; what is not there: {nothing.Status} {nothing.Body}");
                Hush(other, name, someone);
            }
        }

        output.WriteLine($"{calls} calls");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong));

        // What the caller has named may come back; what is there may not.
        void Hush((int Status, string Body) answer, string name, Someone someone)
        {
            if (!someone.Scope.IsAll && answer.Body.Contains(theirs.Mark, StringComparison.Ordinal) && answer.Status != 404)
                wrong.Add($"{someone.Role.Name()} of {someone.Scope}: {name} tells of another tenant: {answer.Body}");
        }
    }

    [Fact]
    public async Task Nobody_is_answered_without_logging_in_but_where_the_table_says_so()
    {
        await using var server = await StartAsync();
        var mine = new Tenancy(server, Mine);
        using var nobody = new HttpClient(new HttpClientHandler { AllowAutoRedirect = false }) { BaseAddress = server.App.Address };
        foreach (var (name, (needs, _)) in Table.Routes.Where(r => r.Value.Needs is not "nobody"))
        {
            var (status, body) = await CallAsync(
                nobody, name, needs is "login" ? (Plain(name), null) : await AccessExamples.OfAsync(name, mine));
            Assert.True(status is 401 or 302, $"{name}: {status} {body}");
        }
    }

    [Fact]
    public async Task A_page_shows_nothing_of_another_tenant()
    {
        await using var server = await StartAsync();
        var (mine, theirs) = (new Tenancy(server, Mine), new Tenancy(server, Theirs));
        await FillAsync(mine, theirs);
        string[] lists = ["/", "/incidents", "/tickets", "/?q=globex", "/incidents?state=all", "/tenants"];
        foreach (var someone in (await EverybodyAsync(mine)).Where(s => !s.Scope.IsAll))
        {
            foreach (var list in lists)
            {
                var page = await CallAsync(someone.Http, "GET", (list, null));
                Assert.Equal(200, page.Status);
                Assert.DoesNotContain(theirs.Mark, page.Body, StringComparison.Ordinal);
            }

            Assert.Contains(mine.Mark, (await CallAsync(someone.Http, "GET", ("/incidents", null))).Body, StringComparison.Ordinal);
            foreach (var (own, other) in (IEnumerable<(string, string)>)[
                ($"/incidents/{await mine.IncidentAsync()}", $"/incidents/{await theirs.IncidentAsync()}"),
                ($"/tickets/{await mine.TicketAsync()}", $"/tickets/{await theirs.TicketAsync()}"),
                ($"/tenants/{Mine}", $"/tenants/{Theirs}"),
                ($"/clusters/{Mine}/c1", $"/clusters/{Theirs}/c1")])
            {
                Assert.Equal(200, (await CallAsync(someone.Http, "GET", (own, null))).Status);
                Assert.Equal(404, (await CallAsync(someone.Http, "GET", (other, null))).Status);
            }
        }
    }

    [Fact]
    public async Task Every_act_of_a_page_asks_as_the_table_says()
    {
        await using var server = await StartAsync();
        var (mine, theirs) = (new Tenancy(server, Mine), new Tenancy(server, Theirs));
        await mine.RegisteredAsync();
        await theirs.RegisteredAsync();
        var acts = typeof(PersonActs).GetMethods(BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly)
            .Where(m => m.ReturnType == typeof(Task<string?>)).ToDictionary(m => m.Name[..^"Async".Length]);
        Assert.Equal(Table.Acts.Keys.Order(), acts.Keys.Order());
        List<string> wrong = [];
        foreach (var someone in await EverybodyAsync(mine))
        {
            var page = ActivatorUtilities.CreateInstance<PersonActs>(server.App.Services, new LoggedIn(someone.User));
            foreach (var (name, (permission, of)) in Table.Acts)
            {
                var may = Table.Roles[someone.Role.Name()].Contains(permission)
                    && (of == "cluster" || someone.Scope.IsAll || (of == "tenant" && someone.Scope.Cluster is null));
                var own = await DoAsync(page, acts[name], mine, server);
                if (may != own is null)
                    wrong.Add($"{someone.Role.Name()} of {someone.Scope}: {name} in the own tenant: {own}");
                var other = await DoAsync(page, acts[name], theirs, server);
                if ((may && someone.Scope.IsAll) != other is null)
                    wrong.Add($"{someone.Role.Name()} of {someone.Scope}: {name} in another tenant: {other}");
                if (!someone.Scope.IsAll && other?.Contains(theirs.Mark, StringComparison.Ordinal) is true)
                    wrong.Add($"{name} tells of another tenant: {other}");
            }
        }

        Assert.True(wrong.Count == 0, string.Join('\n', wrong));
    }

    /// <summary>
    /// What changes something is done by <see cref="PersonActs"/> alone: a component can call nothing else that changes state. A service
    /// that a component takes must be named here, as one that only reads or shows.
    /// </summary>
    [Fact]
    public void Components_change_nothing_but_through_the_acts()
    {
        string[] harmless =
        [
            "ActDialogs", "AuditReader", "AuthenticationStateProvider", "ChartReader", "Guard", "IDialogService", "ILogger`1", "LiveFeed",
            "LivePace", "NavigationManager", "PageReads", "PersonActs", "StoryReader", "TenantPeople", "TicketReader",
            "Visitor",
        ];
        var taken = typeof(Dashboard).Assembly.GetTypes().Where(t => typeof(IComponent).IsAssignableFrom(t))
            .SelectMany(t => t.GetProperties(BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.Instance))
            .Where(p => p.GetCustomAttribute<InjectAttribute>() is not null).Select(p => p.PropertyType.Name).Distinct();

        Assert.Equal([], taken.Except(harmless).Order());
    }

    [Fact]
    public async Task A_grant_that_is_taken_away_ends_the_acts_of_an_open_page()
    {
        await using var server = await StartAsync();
        var mine = new Tenancy(server, Mine);
        var someone = await mine.SomeoneAsync(Role.Responder, AccessScope.Of(Mine));
        var page = ActivatorUtilities.CreateInstance<PersonActs>(server.App.Services, new LoggedIn(someone.User));
        Assert.Null(await page.AcknowledgeAsync(await mine.IncidentAsync(), TimeSpan.FromHours(1)));

        using var taken = await server.Http.DeleteAsync(
            $"api/whistle/v1/people/{someone.Name}/grants?role=responder&tenant={Mine}", Cancellation);
        Assert.Equal(HttpStatusCode.NoContent, taken.StatusCode);

        Assert.NotNull(await page.AcknowledgeAsync(await mine.IncidentAsync(), TimeSpan.FromHours(1)));
    }

    static Task<InProcessServer> StartAsync() => InProcessServer.StartAsync(Cancellation, change: o => o with { RunTimers = false });

    static async Task FillAsync(params IReadOnlyList<Tenancy> tenancies)
    {
        foreach (var tenancy in tenancies)
        {
            await tenancy.AcknowledgedAsync();
            await tenancy.RunAsync();
            await tenancy.TicketAsync();
            await tenancy.PauseAsync();
            await tenancy.WindowAsync();
            await tenancy.FreezeAsync();
            await tenancy.JoinTokenAsync();
            await tenancy.NodeAsync();
            await tenancy.PersonAsync();
        }
    }

    static async Task<List<Someone>> EverybodyAsync(Tenancy mine)
    {
        List<Someone> all = [];
        foreach (var role in Enum.GetValues<Role>())
        {
            all.Add(await mine.SomeoneAsync(role, AccessScope.Of(Mine)));
            all.Add(await mine.SomeoneAsync(role, AccessScope.Of(mine.Cluster)));
            if (!role.IsCustomers())
                all.Add(await mine.SomeoneAsync(role, AccessScope.All));
        }

        return all;
    }

    static IEnumerable<(string Name, RouteAccess Access)> Routes(InProcessServer server) => server.App.Endpoints.OfType<RouteEndpoint>()
        .Where(e => !IsPage(e)).SelectMany(e => (e.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? ["GET"]).Select(m => (
            Name: $"{m} /{e.RoutePattern.RawText!.TrimStart('/').Replace(":long", "")}", Access: e.Metadata.GetMetadata<RouteAccess>()!)))
        .DistinctBy(r => r.Name);

    static bool IsPage(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<ComponentTypeMetadata>() is not null
        || endpoint.RoutePattern.RawText!.TrimStart('/').StartsWith('_');

    static string Needs(RouteAccess access) =>
        access.Permission is { } permission ? Permissions.Name(permission) : access.IsForAnybody ? "nobody" : "login";

    static string Plain(string name) => System.Text.RegularExpressions.Regex.Replace(name.Split(' ')[1], @"\{[^}]*\}", "x");

    static async Task<(int Status, string Body)> CallAsync(HttpClient http, string name, (string Path, object? Body) example)
    {
        using var request = new HttpRequestMessage(new HttpMethod(name.Split(' ')[0]), example.Path);
        if (example.Body is not null)
            request.Content = new StringContent(JsonSerializer.Serialize(example.Body), null, "application/json");
        using var answer = await http.SendAsync(request, Cancellation);
        return ((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }

    // The same with an id that was never there, told as if it were the other's.
    static async Task<(int Status, string Body)> NothingAsync(HttpClient http, string name, (string Path, object? Body) example)
    {
        var id = AccessExamples.IdIn(name, example.Path);
        var none = long.TryParse(id, out _) ? "987654321" : new string([.. id.Select(c => char.IsAsciiHexDigit(c) ? 'f' : c)]);
        var (status, body) = await CallAsync(http, name, (example.Path.Replace(id, none, StringComparison.Ordinal), example.Body));
        return (status, body.Replace(none, id, StringComparison.Ordinal));
    }

    static async Task<string?> DoAsync(PersonActs page, MethodInfo act, Tenancy tenancy, InProcessServer server)
    {
        var hour = TimeSpan.FromHours(1);
        var run = act.Name is "ApproveAsync" or "CompleteAsync" or "CancelAsync" ? await tenancy.RunAsync() : null;
        return act.Name switch
        {
            "AcknowledgeAsync" => await page.AcknowledgeAsync(await tenancy.IncidentAsync(), hour),
            "ReleaseAsync" => await page.ReleaseAsync(await tenancy.AcknowledgedAsync()),
            "ApproveAsync" => await page.ApproveAsync(run!.Id, "", run.PlanHash, hour),
            // The plan has no task, which is told to those alone who might have done it.
            "CompleteAsync" => await page.CompleteAsync(run!.Id, "step", "done") is var told && told?.Contains("nothing is waiting") is true
                ? null : told,
            "CancelAsync" => await page.CancelAsync(run!.Id, "why"),
            "PauseAsync" => await page.PauseAsync(new(tenancy.Tenant, tenancy.Cluster.Cluster), "why", hour),
            "EndPauseAsync" => await page.EndPauseAsync(await tenancy.PauseAsync()),
            "KillAsync" => await page.KillAsync(false, "why"),
            "SetModeAsync" => await page.SetModeAsync(
                server.App.Remediation.Runbooks.Runbooks[0], tenancy.Cluster, RunbookMode.Observe),
            "MoveTicketAsync" => await page.MoveTicketAsync(
                await tenancy.TicketAsync(), Whistle.Alerting.Tickets.TicketState.InProgress, "why"),
            "AddTenantAsync" => await page.AddTenantAsync($"{tenancy.Tenant}-{Guid.NewGuid():N}", new()),
            "ChangeTenantAsync" => await page.ChangeTenantAsync(tenancy.Tenant, new(Notes: "words")),
            "SetTenantLimitsAsync" => await page.SetTenantLimitsAsync(tenancy.Tenant, new(Series: 1_000_000)),
            "ArchiveTenantAsync" => await page.ArchiveTenantAsync(tenancy.Tenant),
            "UnarchiveTenantAsync" => await page.UnarchiveTenantAsync(tenancy.Tenant),
            // That it is there is told to those alone who might have added it.
            "AddClusterAsync" => await page.AddClusterAsync(tenancy.Cluster, new()) is var told
                && told?.Contains("already") is true ? null : told,
            "ChangeClusterAsync" => await page.ChangeClusterAsync(tenancy.Cluster, new(Name: "name")),
            "ArchiveClusterAsync" => await page.ArchiveClusterAsync(tenancy.Cluster),
            "UnarchiveClusterAsync" => await page.UnarchiveClusterAsync(tenancy.Cluster),
            "ArchiveNodeAsync" => await page.ArchiveNodeAsync(tenancy.Cluster.Node(await tenancy.NodeAsync())),
            "UnarchiveNodeAsync" => await page.UnarchiveNodeAsync(await tenancy.ArchivedNodeAsync()),
            "CommentAsync" => await page.CommentAsync(await tenancy.TicketAsync(), "words"),
            _ => throw new InvalidOperationException($"There is no example of {act.Name} yet."),
        };
    }
}
