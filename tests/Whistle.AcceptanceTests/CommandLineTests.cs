using System.CommandLine;
using System.Text.Json;

using Whistle.Alerting.Deciding;
using Whistle.Alerting.Tickets;
using Whistle.Commands;
using Whistle.Fixtures;
using Whistle.Incidents;
using Whistle.Inventory.Access;
using Whistle.Inventory.People;
using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class CommandLineTests : IDisposable
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-verbs").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Every_verb_does_what_it_says_on_a_server_that_has_something_to_show()
    {
        await WriteAsync("rules.yaml", """
            groups:
              - name: mine
                interval: 1s
                rules:
                  - alert: Filling
                    expr: vector(1)
                    labels: { severity: critical, tenant: default, cluster: c, node: n, mountpoint: /data }
                    annotations: { summary: /data is full }
            """);
        await WriteAsync("tests.yaml", """
            rule_files: [rules.yaml]
            tests:
              - promql_expr_test: [{ expr: vector(1), exp_samples: [{ value: 1 }] }]
            """);
        await WriteAsync(
            "hidden.yaml",
            "inhibit_rules: [{ source_matchers: [alertname = Away], target_matchers: [alertname = Filling], equal: [node] }]");
        await WriteAsync("book.yaml", Runbook("disk.largest-directories"));
        await WriteAsync("cases.yaml", "[{ name: any, signal: Filling, labels: { mountpoint: /data }, answered: [mine] }]");
        await using var server = new ServerProcess(
            _folder, "--no-agent", "--rules", Path.Combine(_folder, "rules.yaml"), "--rules", Path.Combine(_folder, "hidden.yaml"),
            "--runbooks", Path.Combine(_folder, "book.yaml"));
        await server.StartAsync(Cancellation);
        await server.Http.PutAsync(
            "api/whistle/v1/runbook-modes",
            new StringContent("""{"mode":"approve","cluster":"c","force":true}""", null, "application/json"), Cancellation);
        await OpenTicketAsync();
        var run = await AwaitingRunAsync(server);
        var (id, plan, incident) =
            (run.GetProperty("id").GetString()!, run.GetProperty("planHash").GetString()!, run.GetProperty("incident").GetString()!);

        var join = await server.Http.PostAsync(
            "api/whistle/v1/join-tokens", new StringContent("""{"cluster":"c"}""", null, "application/json"), Cancellation);
        var joinId = JsonDocument.Parse(await join.Content.ReadAsStringAsync(Cancellation)).RootElement
            .GetProperty("made").GetProperty("id").GetString()!;

        await AddPersonAsync("alice");
        var invitation = await IdAsync("invitations", """{"grants":[{"role":"viewer"}]}""");
        var apiToken = await IdAsync("tokens", """{"name":"spare","grants":[{"role":"viewer"}]}""");
        using (var login = new HttpClient())
            await login.GetAsync(new Uri((await RunAsync(server, ["login"])).Output.Trim()), Cancellation);
        var session = await IdAsync("sessions", null);

        async Task<string> IdAsync(string list, string? body)
        {
            if (body is not null)
            {
                using var made = await server.Http.PostAsync(
                    $"api/whistle/v1/{list}", new StringContent(body, null, "application/json"), Cancellation);
                made.EnsureSuccessStatusCode();
            }

            var all = JsonDocument.Parse(await server.Http.GetStringAsync($"api/whistle/v1/{list}", Cancellation)).RootElement;
            return Assert.Single(all.EnumerateArray()).GetProperty("id").GetString()!;
        }

        (string[] Verb, string Says)[] verbs =
        [
            (["alerts", "--all"], "/data is full"),
            (["incidents"], incident),
            (["incidents", "--all", "--json"], "\"title\":\"/data is full\""),
            (["incidents", incident], "Timeline"),
            (["incidents", "acknowledge", incident, "--for", "2h"], "Acknowledged by operator until "),
            (["incidents", "release", incident], $"Incident {incident} is released."),
            (["runs", "list", "--all"], "awaiting-approval"),
            (["runs", "show", id], $"whistle runs approve {id} --plan {plan}"),
            (["runs", "explain", id], "The plan is waiting for approval"),
            (["runs", "explain", id], "\n  quorum           not asked"),
            (["runs", "approve", id, "--plan", plan, "--for", "30m"], "Approved until "),
            (["runs", "done", id, "look", "--note", "seen"], $"The step look of run {id} is done."),
            (
                ["windows", "add", "--recurrence", "FREQ=DAILY", "--start", "2026-01-01T00:00", "--for", "1h", "--cluster", "c"],
                "Maintenance window 1 of cluster c "),
            (["windows", "list"], "FREQ=DAILY"),
            (["windows", "remove", "1"], "Maintenance window 1 is removed."),
            (["freezes", "add", "--reason", "the fair", "--for", "2h"], "Change freeze 1 applies to all clusters from "),
            (["freezes", "list"], "the fair"),
            (["freezes", "end", "1"], "Change freeze 1 has ended."),
            (["pause", "add", "--node", "n", "--reason", "new disk", "--for", "2h"], "Pause 1 stops all runbooks on node n in cluster c "),
            (["pause", "list"], "new disk"),
            (["pause", "end", "1"], "Pause 1 has ended."),
            (["kill-switch", "on", "--reason", "odd"], "The kill switch is ON"),
            (["kill-switch", "status"], "by operator: odd"),
            (["kill-switch", "on"], "by operator: odd"),
            (["kill-switch", "off", "--reason", "well"], "The kill switch is off"),
            (["kill-switch", "on"], "by operator: no reason given"),
            (["kill-switch", "off", "--reason", "well"], "The kill switch is off"),
            (
                ["mode", "set", "observe", "--runbook", "mine", "--cluster", "c"],
                "The mode of mine in cluster c of tenant default is set to observe."),
            (
                ["mode", "set", "automatic", "--runbook", "mine"],
                "But observe still counts where both apply: it is set for mine in cluster c of tenant default."),
            (["mode", "list"], "all runbooks in cluster c"),
            (["runs", "cancel", id, "--reason", "done by hand"], $"Run {id} is cancelled."),
            (["rules", "list"], "firing  critical  mine   Filling  alerting  ok      1 "),
            (["rules", "list", "--output", "csv"], ",vector(1)\n"),
            (["alerts", "--all", "--output", "csv"],
                "state,severity,name,where,since,ended,value,labels,summary\nfiring,critical,Filling,c/n /data,20"),
            (["alerts", "--output", "wide"], "mountpoint=/data"),
            (["runs", "list", "--output", "csv", "--all"], $"state,runbook,where,since,attempt,incident,id,why\n"),
            (["tickets", "1", "--raw"], "1073741824  /data/models"),
            (["tickets", "1"], "1.0 GiB  /data/models"),
            (["query", "vector(1)", "--output", "csv"], "value,series\n1,{}\n"),
            (["query", "vector(1)", "--json"], "\"resultType\":\"vector\""),
            (["mode", "list", "--output", "csv"], "mode,of,set,by\n"),
            (["health", "--output", "csv"], "state,component,subject,since,reason\n"),
            (["agents", "list", "--json"], "["),
            (
                ["audit", "list", "--action", "set-mode", "--output", "csv"],
                "number,at,actor,from,action,scope,subject,outcome,reason,details\n"),
            (["audit", "list", "--actor", "local", "--limit", "1"], "There are earlier ones: --before "),
            (["audit", "verify"], "entries are as they were written."),
            (["audit", "export", "--action", "cancel-run"], "\"outcome\":\"done\""),
            (["completion", "bash"], "-F _whistle whistle"),
            (["rules", "check", Path.Combine(_folder, "rules.yaml")], "1 group, 1 alert, 0 recordings"),
            (["rules", "list"], "alertname=\"Away\"  alertname=\"Filling\"  node"),
            (["rules", "check"], "disk.yaml: 1 group, "),
            (["rules", "check"], "inhibitions.yaml: 20 inhibit rules"),
            (["rules", "test", Path.Combine(_folder, "tests.yaml")], "1 test, 1 check; all pass"),
            (["runbooks", "list"], "Measure a disk"),
            (["runbooks", "check", Path.Combine(_folder, "book.yaml")], "Good: mine."),
            (
                ["runbooks", "explain", Path.Combine(_folder, "book.yaml"), "--label", "mountpoint=/data"],
                "1. m: disk.largest-directories {\"mountPoint\":\"/data\"}, only reads"),
            (["runbooks", "test", Path.Combine(_folder, "book.yaml"), Path.Combine(_folder, "cases.yaml")], "All 1 cases pass."),
            (["runbooks", "replay", "--from", "1h"], "mine: "),
            (["runbooks", "schema"], "https://json-schema.org/draft/2020-12/schema"),
            (["tickets"], "open "),
            (["tickets", "1"], "/data/models"),
            (["tickets", "comment", "1", "which may go?"], "Ticket 1 has the comment."),
            (["tickets", "move", "1", "waiting-on-customer", "--remark", "asked"], "Ticket 1 is waiting-on-customer now."),
            (["query", "1+1"], "2"),
            (["agents", "add", "--cluster", "c", "--node", "m"], "wst_"),
            (["agents", "list"], "m "),
            (["nodes", "list", "--cluster", "c"], "default  c        m "),
            (["nodes", "show", "m", "--cluster", "c"], "default/c/m"),
            (["agents", "rotate", "--cluster", "c", "--node", "m"], "1 credential(s) of default/c/m are renewed with the next reports."),
            (["nodes", "archive", "m", "--cluster", "c"], "Node default/c/m is archived."),
            (["nodes", "list", "--archived"], "archived "),
            (["nodes", "unarchive", "m", "--cluster", "c"], "Node default/c/m is in service again."),
            (["agents", "revoke", "--cluster", "c", "--node", "m"], "1 token(s) of default/c/m revoked"),
            (["agents", "add", "--cluster", "c", "--node", "m", "--replace"], "wst_"),
            (["nodes", "archive", "m", "--cluster", "c"], "Node default/c/m is archived."),
            (["agents", "revoke", "--cluster", "c", "--node", "m"], "1 token(s) of default/c/m revoked"),
            (["nodes", "unarchive", "m", "--cluster", "c"], "Node default/c/m is unarchived, but has no credential: enrol it with "),
            (["tenants", "add", "acme", "--name", "ACME Corp", "--contact", "ops@acme.example"], "Tenant acme is added."),
            (["tenants", "list"], "ACME Corp"),
            (["tenants", "rename", "acme", "ACME"], "Tenant acme is called ACME now."),
            (["tenants", "edit", "acme", "--notes", "pays on time"], "Tenant acme is changed."),
            (["tenants", "limit", "acme", "--series", "50000"], "The limits of tenant acme are set."),
            (["tenants", "list", "--output", "csv"], "acme,ACME,ops@acme.example,,active series 50000,"),
            (["tenants", "show", "acme"], "pays on time"),
            (["clusters", "add", "prod-1", "--tenant", "acme", "--label", "zone=eu-1"], "Cluster acme/prod-1 is added."),
            (["clusters", "rename", "prod-1", "Production", "--tenant", "acme"], "Cluster acme/prod-1 is called Production now."),
            (["clusters", "edit", "prod-1", "--tenant", "acme", "--notes", "the first"], "Cluster acme/prod-1 is changed."),
            (["clusters", "list", "--tenant", "acme", "--output", "csv"], "acme,prod-1,Production,zone=eu-1,"),
            (["clusters", "show", "prod-1", "--tenant", "acme"], "the first"),
            (["clusters", "archive", "prod-1"], "Cluster acme/prod-1 is archived."),
            (["clusters", "list", "--archived", "--output", "csv"], ",notes,archived,by\n"),
            (["clusters", "unarchive", "prod-1"], "Cluster acme/prod-1 is in use again."),
            (["tenants", "archive", "acme"], "Tenant acme is archived."),
            (["tenants", "list", "--archived", "--instants"], "Z  operator"),
            (["tenants", "unarchive", "acme"], "Tenant acme is in use again."),
            (["agents", "add", "--cluster", "c", "--node", "near", "--offline"], "wst_"),
            (["agents", "list", "--offline", "--output", "csv"], "tenant,cluster,node,enrolled\ndefault,c,near,20"),
            (["agents", "revoke", "--cluster", "c", "--node", "near", "--offline"], "1 token(s) of default/c/near revoked"),
            (["agents", "join-token", "--cluster", "c", "--uses", "3", "--for", "2h", "--replace"], "wsj_"),
            (["agents", "join-tokens"], "  yes\n"),
            (["agents", "join-tokens", "--output", "csv"], $"{joinId},default,c,0,1,"),
            (["agents", "revoke-join-token", joinId], $"Nobody enrols with the join token {joinId} any more."),
            (["people", "uninvite", invitation], $"Invitation {invitation} opens nothing any more."),
            (["people", "invite", "--role", "viewer", "--all-tenants", "--for", "2h"], "/invitation?token=wsv_"),
            (["people", "invitations"], "viewer of all tenants  operator  in "),
            (["people", "list"], "alice  viewer of all tenants  no"),
            (["people", "grant", "alice", "--role", "operator", "--tenant", "default", "--cluster", "c"],
                "alice is operator of default/c."),
            (["people", "list", "--output", "csv"], "alice,\"operator of default/c, viewer of all tenants\",no,"),
            (["people", "revoke", "alice", "--role", "operator", "--tenant", "default", "--cluster", "c"],
                "alice is no longer operator of default/c."),
            (["people", "disable", "alice"], "alice is disabled."),
            (["people", "list"], "  disabled"),
            (["people", "enable", "alice"], "alice can log in again."),
            (["people", "reset", "alice"], "/invitation?token=wsv_"),
            (["people", "list"], "  reset link until "),
            (["tokens", "add", "--name", "ci", "--role", "viewer", "--tenant", "default"], "wsp_"),
            (["tokens", "list"], "operator  viewer of default"),
            (["tokens", "revoke", apiToken], $"Token {apiToken} opens nothing any more."),
            (["sessions", "list", "--output", "csv"], "id,who,from,seen,began,ends,browser\n"),
            (["sessions", "revoke", session], $"Session {session} has ended."),
            (["jobs", "run", "alert-retention"], "The job alert-retention is done."),
            (["jobs", "list", "--output", "csv"], "alert-retention,0 17 * * * ?,"),
            (["health"], NoChannel.Hint),
            (["login"], "/login?token="),
            (["logout", "--all"], "0 sessions have ended."),
        ];
        foreach (var (verb, says) in verbs)
        {
            var (exit, output, _) = await RunAsync(server, verb);
            Assert.True(exit == 0, $"whistle {string.Join(' ', verb)} ended with {exit}");
            Assert.Contains(says, output, StringComparison.Ordinal);
        }

        var root = CommandLine.Build();
        var done = verbs.Select(v => root.Parse(v.Verb).CommandResult.Command).ToHashSet();
        // Those that work on a folder are shown in BackupApiTests, OperationsDocumentTests, StateCopyTests and StoreInspectionTests.
        Assert.Equal(
            ["serve", "demo", "create", "verify", "restore", "simulate", "check", "repair", "copy"],
            Leaves(root).Where(c => !done.Contains(c)).Select(c => c.Name));
    }

    [Fact]
    public async Task What_goes_wrong_is_said_in_a_line_and_ends_with_1()
    {
        await using var server = new ServerProcess(_folder, "--no-agent");
        await server.StartAsync(Cancellation);

        (string[] Verb, string Says)[] verbs =
        [
            (["incidents", "i0"], "There is no incident i0. List the open ones with `whistle incidents`"),
            (["agents", "revoke", "--cluster", "c", "--node", "gone"], "No token of c/gone is in force"),
            (["agents", "add", "--cluster", "C"], "\"C\" is not a valid cluster name"),
            (["runs", "approve", "r", "--plan", "p"], "There is no run r."),
            (["incidents", "acknowledge", "i0"], "There is no open incident i0."),
            (["incidents", "release", "i0"], "There is no open, acknowledged incident i0."),
            (["runs", "cancel", "r", "--reason", "x"], "There is no run r."),
            (["mode", "set", "always"], "mode must be one of off, observe, approve, automatic."),
            (["pause", "add", "--reason", "x", "--for", "soon"], "for: \"soon\" is not a duration; write it like 30s, 5m or 1h30m."),
            (["runbooks", "replay", "--from", "1h", "--to", "2h"], "from: it must be further back than to."),
            (["pause", "end", "7"], "No pause 7 is in force."),
            (
                ["windows", "add", "--recurrence", "FREQ=OFTEN", "--start", "2026-01-01T00:00", "--for", "1h"],
                "recurrence: FREQ=OFTEN is not one of"),
            (
                ["windows", "add", "--recurrence", "FREQ=SECONDLY", "--start", "2026-01-01T00:00", "--for", "1h"],
                "recurrence: FREQ=SECONDLY is too often"),
            (
                ["windows", "add", "--recurrence", "FREQ=DAILY", "--start", "2026-01-01T00:00", "--for", "1h", "--time-zone", "CEST"],
                "timeZone: \"CEST\" is not exactly a name"),
            (["pause", "add", "--node", "no-such-node", "--reason", "x", "--for", "1h"], "There is no node \"no-such-node\""),
            (["mode", "set", "automatic", "--cluster", "stagin"], "There is no cluster \"stagin\""),
            (["pause", "add", "--reason", "x", "--for", "31d"], "for: A pause lasts at most 30d here."),
            (["windows", "remove", "7"], "There is no maintenance window 7."),
            (["freezes", "end", "7"], "No change freeze 7 is in force or to come."),
            (["runs", "done", "r", "s", "--note", "x"], "There is no run r."),
            (["tickets", "move", "1", "done"], "state must be one of open, waiting-on-customer, in-progress, resolved, closed."),
            (["people", "disable", "zoe"], "There is nobody called zoe whom you manage."),
            (["people", "uninvite", "000000000000"], "No invitation 000000000000 is open."),
            (["people", "invite", "--role", "customer", "--all-tenants"], "customer is a customer's role: name the tenant"),
            (["people", "invite", "no name", "--role", "viewer", "--all-tenants"], "\"no name\" is not a user name"),
            (["people", "invite", "--role", "viewer", "--tenant", "t"], "There is no tenant t that you may see"),
            (["nodes", "list", "--tenant", "t"], "There is no tenant t that you may see"),
            (["tokens", "revoke", "000000000000"], "No token 000000000000 is in force."),
            (["sessions", "revoke", "000000000000"], "No session 000000000000 is open."),
            (["jobs", "run", "nothing"], "There is no job nothing."),
            (["agents", "revoke-join-token", "000000000000"], "No join token 000000000000 is in force."),
            (["agents", "join-token", "--cluster", "c", "--uses", "0"], "uses: 0 is not between 1 and 10000."),
            (["agents", "join-token", "--cluster", "c", "--for", "365d"], "for: 365.00:00:00 is not between 1m and 90d."),
            (["agents", "join-token", "--cluster", "C"], "\"C\" is not a valid cluster name"),
            (["query", "sum("], "invalid parameter \"query\": "),
        ];
        foreach (var (verb, says) in verbs)
        {
            var (exit, _, error) = await RunAsync(server, verb);
            Assert.Equal(1, exit);
            Assert.StartsWith(says, error, StringComparison.Ordinal);
            Assert.Single(error.TrimEnd().Split('\n'));
        }
    }

    [Fact]
    public async Task A_wrong_call_ends_with_2_and_a_server_that_is_not_there_with_3()
    {
        var nowhere = $"http://127.0.0.1:{ChildProcess.FreePort()}";
        var token = PrivateText.Write(Path.Combine(_folder, "token-file"), AccessToken.New(AccessToken.OfServer));

        (string[] Verb, int Code, string Says)[] calls =
        [
            (["alerts", "--server", nowhere, "--token-file", token], 3, $"The server at {nowhere}/ does not answer ("),
            (["agents", "list", "--server", nowhere, "--token-file", token], 3, $"The server at {nowhere}/ does not answer ("),
            (["alerts", "--server", nowhere, "--token-file", token + "2"], 1, $"There is no token file {token}2."),
            (["logout", "--server", nowhere, "--token-file", token], 2,
                "This ends every session, on whatever machine it is. Say so with --all."),
            (["runs", "approve", "r", "--server", nowhere, "--token-file", token], 2, "Name the plan that you have seen with --plan HASH"),
            (["query", "up", "--range", "soon", "--server", nowhere, "--token-file", token], 2, "\"soon\" is not a duration."),
            (["runs", "show", "..", "--server", nowhere, "--token-file", token], 2, "\"..\" is not an id. Copy it from the list."),
            (["incidents", ".", "--server", nowhere, "--token-file", token], 2, "\".\" is not an id. Copy it from the list."),
            (["simulate", "--nodes", "2"], 2, "--seed is a whole number, --nodes at least 5"),
            (["people", "invite", "--role", "viewer"], 2, "Say where the role counts: --tenant"),
            (["people", "invite", "--role", "viewer", "--all-tenants", "--cluster", "c"], 2, "--cluster needs --tenant."),
            (["people", "invite", "--role", "king", "--all-tenants"], 2, "Argument 'king' not recognized."),
            (["alrts"], 2, "Unrecognized command or argument 'alrts'."),
            (["runs"], 2, "`whistle runs` needs one of: list, "),
        ];
        foreach (var (verb, code, says) in calls)
        {
            var (exit, output, error) = await RunAsync(null, verb);
            Assert.Equal((code, ""), (exit, output));
            Assert.StartsWith(says, error, StringComparison.Ordinal);
        }

        var (help, text, _) = await RunAsync(null, []);
        Assert.Equal(0, help);
        Assert.Contains(
            "Exit codes: 0 fine, 1 failed, 2 wrong usage, 3 no server answers; 4 of `health`: degraded;", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Output_that_nobody_takes_is_said_in_a_line()
    {
        Assert.SkipUnless(File.Exists("/dev/full"), "The device that is always full is needed.");
        var (exit, error) = Shell.Try($"dotnet '{ChildProcess.PathOf("Whistle", "whistle.dll")}' completion bash 2>&1 >/dev/full");

        Assert.Equal(1, exit);
        Assert.EndsWith("What you asked for may have been done; look before you ask again.", Assert.Single(error.TrimEnd().Split('\n')));
    }

    [Fact]
    public async Task The_environment_names_server_and_token_file_for_every_verb()
    {
        await using var server = new ServerProcess(_folder, "--no-agent");
        await server.StartAsync(Cancellation);
        var elsewhere = Directory.CreateTempSubdirectory("whistle-elsewhere").FullName;
        File.Copy(Path.Combine(_folder, "token"), Path.Combine(elsewhere, "copied"));
        var environment = new Dictionary<string, string>
        {
            ["WHISTLE_SERVER"] = server.Address.ToString(),
            ["WHISTLE_TOKEN_FILE"] = Path.Combine(elsewhere, "copied"),
            ["WHISTLE_DATA"] = Path.Combine(elsewhere, "nothing"),
        };
        foreach (var verb in new string[][] { ["incidents"], ["agents", "list"], ["kill-switch", "status"], ["health"] })
        {
            using var process = ChildProcess.StartProject("Whistle", "whistle.dll", verb, environment);
            await process.WaitForExitAsync(Cancellation);
            Assert.Equal(0, process.ExitCode);
        }

        Directory.Delete(elsewhere, recursive: true);
    }

    [Fact]
    public async Task Every_old_name_still_does_what_it_did()
    {
        var address = $"http://127.0.0.1:{ChildProcess.FreePort()}/";
        var calls = new Dictionary<string, string[]>
        {
            [""] = ["--no-agent", "--data", _folder, "--listen", address],
        };
        foreach (var rename in Renames.All.Where(r => r.Kind is not RenameKind.ApiField))
        {
            using var process = ChildProcess.StartProject("Whistle", "whistle.dll", calls[rename.Old]);
            var lines = new System.Collections.Concurrent.ConcurrentQueue<string>();
            process.ErrorDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
            if (rename.New == "serve")
            {
                using var http = new HttpClient { BaseAddress = new Uri(address) };
                await process.UntilAnswersAsync(http, "-/ready", Cancellation);
                process.Kill();
            }

            await process.WaitForExitAsync(Cancellation);
            Assert.Contains(lines, l => l.StartsWith($"Warning: write `whistle {rename.New}", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Without_a_home_that_can_be_written_a_folder_can_be_named()
    {
        var homeless = new Dictionary<string, string> { ["HOME"] = "/proc/none", ["XDG_DATA_HOME"] = "/proc/none" };
        using var named = ChildProcess.StartProject("Whistle", "whistle.dll", ["backup", "verify", _folder, "--help"], homeless);
        await named.WaitForExitAsync(Cancellation);
        Assert.Equal(0, named.ExitCode);

        using var usual = ChildProcess.StartProject("Whistle", "whistle.dll", ["serve", "--no-agent"], homeless);
        var lines = new System.Collections.Concurrent.ConcurrentQueue<string>();
        usual.ErrorDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        await usual.WaitForExitAsync(Cancellation);
        Assert.Equal(1, usual.ExitCode);
        Assert.Contains("--data or WHISTLE_DATA", Assert.Single(lines, l => l.Length > 0), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_in_use_is_said_in_a_line()
    {
        await using var server = new ServerProcess(_folder, "--no-agent");
        await server.StartAsync(Cancellation);
        using var second = ChildProcess.StartProject(
            "Whistle", "whistle.dll",
            ["serve", "--no-agent", "--listen", server.Address.ToString(), "--data", Path.Combine(_folder, "second")]);
        var lines = new System.Collections.Concurrent.ConcurrentQueue<string>();
        second.OutputDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        second.ErrorDataReceived += (_, line) => lines.Enqueue(line.Data ?? "");
        await second.WaitForExitAsync(Cancellation);

        Assert.Equal(1, second.ExitCode);
        Assert.Contains(lines, l => l.StartsWith("The server cannot listen on ", StringComparison.Ordinal));
        Assert.DoesNotContain(
            lines, l => l.Contains("Hosting failed", StringComparison.Ordinal) || l.Contains("   at ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Runbooks_are_checked_without_a_server_and_every_fault_has_its_place()
    {
        await WriteAsync("bad.yaml", Runbook("disk.format").Replace("verify:", "verifi:", StringComparison.Ordinal));
        var file = Path.Combine(_folder, "bad.yaml");
        var (exit, output, error) = await RunAsync(null, ["runbooks", "check", file, Path.Combine(_folder, "none.yaml")]);

        Assert.Equal((1, ""), (exit, output));
        Assert.Contains($"{file}:6:24: unknown action \"disk.format\"", error, StringComparison.Ordinal);
        Assert.Contains($"{file}:8:1: unknown key \"verifi\" in a runbook", error, StringComparison.Ordinal);
        Assert.Contains($"{_folder}/none.yaml:1:1: cannot be read", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rules_are_checked_and_tested_without_a_server_and_what_is_wrong_has_its_place()
    {
        await WriteAsync("rules.yaml", "groups: [{ name: g, rules: [{ alert: A, expr: x > 0 }, { record: b, expr: x }] }]");
        await WriteAsync("wrong.yaml", "groups: [{ name: g, rules: [{ alert: A, expr: x >, four: 1m }] }]");
        await WriteAsync("tests.yaml", """
            rule_files: [rules.yaml]
            tests:
              - name: mine
                input_series: [{ series: x, values: 1x3 }]
                alert_rule_test: [{ eval_time: 1m, alertname: A }]
            """);
        string At(string name) => Path.Combine(_folder, name);

        Assert.Equal(
            (0, $"{At("rules.yaml")}: 1 group, 1 alert, 1 recording\n", ""), await RunAsync(null, ["rules", "check", At("rules.yaml")]));
        var (exit, output, error) = await RunAsync(null, ["rules", "check", At("wrong.yaml"), At("none.yaml")]);
        Assert.Equal((1, ""), (exit, output));
        Assert.Contains($"{At("wrong.yaml")}:1:52: unknown key \"four\" in a rule", error, StringComparison.Ordinal);
        Assert.Contains($"{At("none.yaml")}:1:1: cannot be read", error, StringComparison.Ordinal);

        (exit, output, error) = await RunAsync(null, ["rules", "test", At("tests.yaml")]);
        Assert.Equal((1, ""), (exit, output));
        Assert.Equal(
            $"{At("tests.yaml")}:5:23: test \"mine\": A after 1m is not as expected\n  got:      firing {{alertname=\"A\"}}\n", error);
    }

    static string Runbook(string action) => $$"""
        name: mine
        summary: Measure a disk
        mode: approve
        answers: [{ signal: Filling }]
        steps:
          - { name: m, action: {{action}}, parameters: { mountPoint: "${mountpoint}" } }
          - { name: look, task: "Look at ${mountpoint}" }
        verify: { within: 1m }
        """;

    static async Task<JsonElement> AwaitingRunAsync(ServerProcess server)
    {
        while (true)
        {
            var runs = JsonDocument.Parse(await server.Http.GetStringAsync("api/whistle/v1/runs", Cancellation)).RootElement;
            if (runs.EnumerateArray().FirstOrDefault(
                r => r.GetProperty("state").GetString() == "awaiting-approval") is { ValueKind: JsonValueKind.Object } run)
                return run;
            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System, Cancellation);
        }
    }

    // As alerting does when a repair gives up.
    async Task AddPersonAsync(string name)
    {
        using var database = new StateDatabase(Path.Combine(_folder, "state.sqlite"));
        var state = new PeopleState(database);
        var (sessions, time) = (new Sessions(state, "", TimeProvider.System), TimeProvider.System);
        var directory = new PeopleDirectory(state, new(state, sessions, time), new(state, time), sessions, time);
        var invitations = new Invitations(state, sessions, directory, time);
        var (token, _) = await invitations.InviteAsync(
            new(PersonIdentity.Local, PersonIdentity.LocalName, Rights.Everything), name, [new(Role.Viewer, AccessScope.All)],
            Invitations.Usual, Cancellation);
        Assert.NotNull((await invitations.AcceptAsync(token!, name, "", Cancellation)).Person);
    }

    async Task OpenTicketAsync()
    {
        var now = TimeProvider.System.GetUtcNow();
        using var database = new StateDatabase(Path.Combine(_folder, "state.sqlite"));
        await using var connection = await database.OpenAsync(Cancellation);
        await using var transaction = await connection.BeginWriteAsync(Cancellation);
        var incident = new Incident
        {
            Id = "i1",
            Tenant = "default",
            Cluster = "c",
            Subject = Labels.Of(("node", "n")),
            Title = "A disk is full",
            Severity = "critical",
            State = IncidentState.Open,
            OpenedAt = now,
        };
        var repair = new Repair
        {
            Id = "i1-1",
            Runbook = "mine",
            State = RepairState.GaveUp,
            StartedAt = now,
            Summary = "nothing helped",
            LargestDirectories = [new("/data/models", 1 << 30)],
        };
        await TicketStore.OpenAsync(transaction, incident, repair, now, Cancellation);
        await transaction.CommitAsync(Cancellation);
    }

    async Task<(int Exit, string Output, string Error)> RunAsync(ServerProcess? server, string[] verb)
    {
        string[] data = ["--data", _folder];
        string[] where = server is null
            || verb is ["runbooks" or "rules", "check" or "explain" or "test" or "schema", ..] or ["completion", ..] ? []
            : verb.Contains("--offline") ? data : ["--server", server.Address.ToString(), .. data];
        using var process = ChildProcess.StartProject("Whistle", "whistle.dll", [.. verb, .. where]);
        var (output, error) = (new StringWriter(), new StringWriter());
        process.OutputDataReceived += (_, line) => output.Write(line.Data is null ? "" : line.Data + "\n");
        process.ErrorDataReceived += (_, line) => error.Write(line.Data is null ? "" : line.Data + "\n");
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, output.ToString(), error.ToString());
    }

    static IEnumerable<Command> Leaves(Command command) =>
        command.Subcommands.SelectMany(c => (c.Action is null ? Enumerable.Empty<Command>() : [c]).Concat(Leaves(c)));

    Task WriteAsync(string name, string text) => File.WriteAllTextAsync(Path.Combine(_folder, name), text, Cancellation);
}
