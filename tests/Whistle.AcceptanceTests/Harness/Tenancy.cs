using System.Net.Http.Headers;
using System.Security.Claims;

using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.DependencyInjection;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Tickets;
using Whistle.Incidents;
using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Inventory.People;
using Whistle.Remediation.Control;
using Whistle.Remediation.Runs;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Somebody with one role in one place, with a token and as a page knows them.</summary>
sealed record Someone(Role Role, AccessScope Scope, string Name, HttpClient Http, ClaimsPrincipal User);

/// <summary>
/// One tenant with something of each kind, made anew for each call, as a call may end it. Every text in it has the tenant's mark, so that
/// it is known wherever it turns up.
/// </summary>
sealed class Tenancy(InProcessServer server, string tenant)
{
    int _made;

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public string Tenant => tenant;

    public ClusterId Cluster => new(tenant, "c1");

    /// <summary>In all that is this tenant's and in nothing else.</summary>
    public string Mark => $"hush-{tenant}";

    DateTimeOffset Now => server.App.Services.GetRequiredService<TimeProvider>().GetUtcNow();

    public async Task<string> IncidentAsync()
    {
        var incident = Incident($"{Mark}-i{++_made}");
        await Get<IncidentStore>().SaveAsync([new(incident, [(TimelineKind.Opened, Mark)])], Now, Cancellation);
        return incident.Id;
    }

    public async Task<string> AcknowledgedAsync()
    {
        var id = await IncidentAsync();
        await Get<IncidentStore>().AcknowledgeAsync(new(id, Mark, Now, Now.AddHours(1)), Cancellation);
        return id;
    }

    public async Task<Run> RunAsync()
    {
        var book = server.App.Remediation.Runbooks.Runbooks[0];
        var run = new Run
        {
            Id = $"{Mark}-r{++_made}",
            IncidentId = await IncidentAsync(),
            Tenant = tenant,
            Cluster = Cluster.Cluster,
            Node = "n1",
            Subject = Labels.Of(("node", "n1"), ("mountpoint", $"/{Mark}-{_made}")),
            Labels = Labels.Of(("tenant", tenant), ("cluster", Cluster.Cluster), ("node", "n1")),
            Runbook = book.Name,
            RunbookHash = book.Hash,
            Origin = book.Name,
            Answers = [],
            PlanHash = Mark,
            State = RunState.AwaitingApproval,
            Reason = Mark,
            Since = Now,
            CreatedAt = Now,
            Attempt = 1,
        };
        Assert.True(await Get<RunStore>().ProposeAsync(run, book, [new(TimelineKind.Proposed, Mark)], Now, Cancellation));
        return run;
    }

    public async Task<long> TicketAsync()
    {
        var repair = new Repair
        {
            Id = Mark,
            Runbook = "disk",
            State = RepairState.GaveUp,
            StartedAt = Now,
            Summary = Mark,
            LargestDirectories = [new($"/{Mark}", 1)],
        };
        await using var connection = await Get<StateDatabase>().OpenAsync(Cancellation);
        await using var transaction = await connection.BeginWriteAsync(Cluster.Scope, Cancellation);
        var incident = Incident($"{Mark}-i{++_made}");
        var ticket = (await TicketStore.OpenAsync(transaction, incident, repair, Now, Cancellation)).Ticket;
        await transaction.CommitAsync(Cancellation);
        return ticket.Id;
    }

    public async Task<long> PauseAsync() => (await Get<ControlStore>().AddAsync(
        new Pause(0, tenant, Cluster.Cluster, "", "", Mark, Mark, Now, Now.AddHours(1)), Cancellation)).Id;

    public async Task<long> WindowAsync() => (await Get<ControlStore>().AddAsync(
        new MaintenanceWindow(
            0, tenant, Cluster.Cluster, "FREQ=DAILY", new DateTime(2026, 1, 1, 22, 0, 0), TimeSpan.FromHours(1), "UTC", Mark, Now),
        Cancellation)).Id;

    public async Task<long> FreezeAsync() => (await Get<ControlStore>().AddAsync(
        new ChangeFreeze(0, tenant, Cluster.Cluster, Mark, Mark, Now, Now.AddHours(1)), Cancellation)).Id;

    public async Task<string> JoinTokenAsync()
    {
        await Register.ArchiveClusterAsync(Cluster, false, Mark, Cancellation);
        return (await server.App.Credentials.MakeJoinTokenAsync(Cluster, 1, TimeSpan.FromHours(1), replaces: false, Cancellation)).Made.Id;
    }

    /// <summary>The tenant and its cluster are in the register and in use; answers the tenant.</summary>
    public async Task<string> RegisteredAsync()
    {
        await NodeAsync();
        return tenant;
    }

    public async Task<NodeId> ArchivedNodeAsync()
    {
        var node = Cluster.Node(await NodeAsync());
        await Register.ArchiveNodeAsync(node, Mark, Cancellation);
        return node;
    }

    FleetRegister Register => server.App.Credentials.Register;

    public async Task<string> NodeAsync()
    {
        var node = $"n-{++_made}";
        await Register.ArchiveClusterAsync(Cluster, false, Mark, Cancellation);
        await server.App.Credentials.EnrollAsync(Cluster, node, Cancellation);
        return node;
    }

    public async Task<Person> PersonAsync() => await PersonAsync($"{Mark}-p{++_made}", new Grant(Role.Viewer, AccessScope.Of(Cluster)));

    public async Task<string> InvitationAsync()
    {
        var (invitations, local) = (Get<Invitations>(), new Actor(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything));
        var name = $"{Mark}-v{++_made}";
        await invitations.InviteAsync(local, name, [new Grant(Role.Viewer, AccessScope.Of(Cluster))], Invitations.Usual, Cancellation);
        return (await invitations.OpenAsync(local, Cancellation)).Single(i => i.UserName == name).Id;
    }

    public async Task<Someone> SomeoneAsync(Role role, AccessScope scope)
    {
        var grant = new Grant(role, scope);
        var person = await PersonAsync($"{role.Name()}-{++_made}", grant);
        var directory = Get<PeopleDirectory>();
        var actor = await directory.ActorOfAsync(person.Identity, Cancellation);
        var (token, _, outcome) = await Get<ApiTokens>().MakeAsync(actor!, "matrix", [grant], ApiTokens.Usual, Cancellation);
        Assert.True(token is not null, $"{outcome}");
        var http = new HttpClient { BaseAddress = server.App.Address, Timeout = TimeSpan.FromMinutes(2) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return new(role, scope, person.Name, http, (await directory.OfTokenAsync(token, "test", Cancellation))!);
    }

    async Task<Person> PersonAsync(string name, Grant grant)
    {
        var invitations = Get<Invitations>();
        var (token, _) = await invitations.InviteAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), name, [grant], Invitations.Usual, Cancellation);
        return (await invitations.AcceptAsync(token!, name, "hash", Cancellation)).Person!;
    }

    Incident Incident(string id) => new()
    {
        Id = id,
        Tenant = tenant,
        Cluster = Cluster.Cluster,
        Subject = Labels.Of(("node", "n1"), ("mountpoint", $"/{id}")),
        Title = Mark,
        Severity = "warning",
        State = IncidentState.Open,
        OpenedAt = Now,
    };

    T Get<T>()
        where T : notnull => server.App.Services.GetRequiredService<T>();
}

/// <summary>Somebody on a page, as its connection knows them.</summary>
sealed class LoggedIn(ClaimsPrincipal user) : AuthenticationStateProvider
{
    public override Task<AuthenticationState> GetAuthenticationStateAsync() => Task.FromResult(new AuthenticationState(user));
}
