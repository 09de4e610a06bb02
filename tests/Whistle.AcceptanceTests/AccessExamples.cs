using System.Text.RegularExpressions;

namespace Whistle.AcceptanceTests;

/// <summary>A request for each route that would succeed for whoever may make it, about something of a tenant that was just made.</summary>
static partial class AccessExamples
{
    const string Root = "/api/whistle/v1";

    /// <summary>The part of the path that stands where the route has its first parameter.</summary>
    public static string IdIn(string name, string path) =>
        path.Split('?')[0].Split('/')[Array.FindIndex(name.Split(' ')[1].Split('/'), p => p.StartsWith('{'))];

    public static async Task<(string Path, object? Body)> OfAsync(string name, Tenancy of)
    {
        var (tenant, cluster) = (of.Tenant, of.Cluster.Cluster);
        var route = name.Split(' ')[1];
        return name.Replace(Root, "", StringComparison.Ordinal) switch
        {
            "GET /api/v1/query" or "POST /api/v1/query" => ("/api/v1/query?query=up", null),
            "GET /api/v1/query_range" or "POST /api/v1/query_range" => ("/api/v1/query_range?query=up&start=0&end=60&step=60", null),
            "GET /api/v1/format_query" or "POST /api/v1/format_query" => ("/api/v1/format_query?query=up", null),
            "GET /api/v1/series" or "POST /api/v1/series" => ("/api/v1/series?match[]=up", null),
            "POST /api/v1/labels" => (route, null),
            "GET /api/v1/label/{name}/values" => ("/api/v1/label/tenant/values", null),
            "POST /-/reload" => ("/-/reload", null),
            "GET /incidents/{id}" => At(await of.IncidentAsync()),
            "POST /incidents/{id}/acknowledgement" => At(await of.IncidentAsync(), new { @for = "1h" }),
            "DELETE /incidents/{id}/acknowledgement" => At(await of.AcknowledgedAsync()),
            "GET /runs/{id}" or "GET /runs/{id}/explain" => At((await of.RunAsync()).Id),
            "POST /runs/{id}/cancel" => At((await of.RunAsync()).Id, new { reason = "why" }),
            "POST /runs/{id}/approve" => At((await of.RunAsync()).Id, new { planHash = of.Mark }),
            "POST /runs/{id}/tasks/{step}" => At((await of.RunAsync()).Id, new { note = "done" }, "step"),
            "POST /pauses" => At(null, new { tenant, cluster, reason = "why", @for = "1h", force = true }),
            "DELETE /pauses/{id}" => At($"{await of.PauseAsync()}"),
            "PUT /kill-switch" => At(null, new { on = false, reason = "why" }),
            "PUT /runbook-modes" => At(null, new { tenant, cluster, runbook = "node-disk-filling", mode = "observe", force = true }),
            "POST /windows" => At(null, new
            {
                tenant,
                cluster,
                recurrence = "FREQ=DAILY",
                start = "2027-01-01T22:00",
                @for = "1h",
                force = true,
            }),
            "DELETE /windows/{id}" => At($"{await of.WindowAsync()}"),
            "POST /freezes" => At(null, new { tenant, cluster, reason = "why", @for = "1h", force = true }),
            "DELETE /freezes/{id}" => At($"{await of.FreezeAsync()}"),
            "GET /tickets/{id}" => At($"{await of.TicketAsync()}"),
            "POST /tickets/{id}/comments" => At($"{await of.TicketAsync()}", new { text = "words" }),
            "POST /tickets/{id}/state" => At($"{await of.TicketAsync()}", new { state = "in-progress" }),
            "POST /agents" => At(null, new { tenant, cluster, node = "n9", replace = true }),
            "POST /agents/rotation" => At(null, new { tenant, cluster, node = await of.NodeAsync() }),
            "GET /tenants/{tenant}" => At(await of.RegisteredAsync()),
            "POST /tenants" => At(null, new { id = $"another-{tenant}" }),
            "PATCH /tenants/{tenant}" => At(await of.RegisteredAsync(), new { notes = "words" }),
            "PUT /tenants/{tenant}/limits" => At(await of.RegisteredAsync(), new { series = 1_000_000 }),
            "POST /tenants/{tenant}/archive" => At($"{await of.RegisteredAsync()}-gone"),
            "POST /tenants/{tenant}/unarchive" => At(await of.RegisteredAsync()),
            "GET /clusters/{tenant}/{cluster}" or "POST /clusters/{tenant}/{cluster}/unarchive" => AtCluster(await of.RegisteredAsync()),
            "POST /clusters" => At(null, new { tenant = await of.RegisteredAsync(), id = cluster }),
            "PATCH /clusters/{tenant}/{cluster}" => AtCluster(await of.RegisteredAsync(), new { notes = "words" }),
            "POST /clusters/{tenant}/{cluster}/archive" => AtCluster(await of.RegisteredAsync()),
            "GET /nodes/{tenant}/{cluster}/{node}" or "POST /nodes/{tenant}/{cluster}/{node}/archive" =>
                AtNode(await of.NodeAsync()),
            "POST /nodes/{tenant}/{cluster}/{node}/unarchive" => AtNode(await of.NodeAsync()),
            "DELETE /agents" => ($"{route}?tenant={tenant}&cluster={cluster}&node={await of.NodeAsync()}", null),
            "POST /join-tokens" => At(null, new { tenant, cluster }),
            "DELETE /join-tokens/{id}" => At(await of.JoinTokenAsync()),
            "POST /backups" => At(null, new { folder = "relative" }),
            "GET /backups/{id}" => At("1"),
            "POST /jobs/{name}/run" => At("session-retention"),
            "POST /people/{name}/grants" =>
                At((await of.PersonAsync()).Name, new { role = "viewer", tenant = await of.RegisteredAsync(), cluster }),
            "DELETE /people/{name}/grants" =>
                ($"{Root}/people/{(await of.PersonAsync()).Name}/grants?role=viewer&tenant={tenant}&cluster={cluster}", null),
            "POST /people/{name}/disable" or "POST /people/{name}/enable" or "POST /people/{name}/reset" =>
                At((await of.PersonAsync()).Name),
            "POST /login-links" or "DELETE /sessions" => (route, null),
            "DELETE /invitations/{id}" => At(await of.InvitationAsync()),
            "POST /invitations" =>
                At(null, new { grants = new[] { new { role = "viewer", tenant = await of.RegisteredAsync(), cluster } } }),
            _ when !route.Contains('{', StringComparison.Ordinal) && name.StartsWith("GET ", StringComparison.Ordinal) => (route, null),
            _ => throw new InvalidOperationException($"There is no example of {name} yet: add one that would succeed."),
        };

        (string, object?) AtCluster(string of, object? body = null) => (
            route.Replace("{tenant}", of, StringComparison.Ordinal).Replace("{cluster}", cluster, StringComparison.Ordinal), body);

        (string, object?) AtNode(string node) => (
            route.Replace("{tenant}", tenant, StringComparison.Ordinal).Replace("{cluster}", cluster, StringComparison.Ordinal)
                .Replace("{node}", node, StringComparison.Ordinal), null);

        (string, object?) At(string? id, object? body = null, string more = "") => (
            Parameter().Replace(id is null ? route : Parameter().Replace(route, id, 1), more), body);
    }

    [GeneratedRegex(@"\{[^}]*\}")]
    private static partial Regex Parameter();
}
