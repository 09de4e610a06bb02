using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

using Whistle.State;
using Whistle.Telemetry;

using Xunit;

namespace Whistle.AcceptanceTests.Audits;

/// <summary>What a server writes into its audit, and how it is read.</summary>
public sealed class AuditServerTests
{
    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Acts_are_entries_with_who_from_where_what_and_the_outcome()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        await PutAsync(server, "runbook-modes", """{"mode":"approve","cluster":"c","force":true}""", HttpStatusCode.OK);
        await PutAsync(server, "kill-switch", """{"on":false}""", HttpStatusCode.BadRequest);
        await SendAsync(server, HttpMethod.Delete, "api/whistle/v1/pauses/17", HttpStatusCode.NotFound);
        await SendAsync(server, HttpMethod.Post, "-/reload", HttpStatusCode.OK);
        await SendAsync(server, HttpMethod.Post, "api/whistle/v1/login-links", HttpStatusCode.OK);
        await PostAsync(server, "agents", """{"cluster":"c","node":"n1"}""");
        await PostAsync(server, "join-tokens", """{"cluster":"c","tenant":"acme","uses":2}""");

        var entries = await EntriesAsync(server);
        Assert.Equal(
            [
                ("set-mode", "done", ""), ("set-kill-switch", "refused", "reason: it is empty. Say why; it is recorded."),
                ("end-pause", "refused", "No pause 17 is in force."), ("reload", "done", ""), ("make-login-link", "done", ""),
                ("enrol-agent", "done", ""), ("make-join-token", "done", ""),
            ],
            entries.Select(e => (Text(e, "action"), Text(e, "outcome"), Text(e, "reason"))));
        Assert.All(
            entries,
            e => Assert.Equal(("operator", "local", "127.0.0.1"), (Text(e, "actor"), Text(e, "identity"), Text(e, "from"))));
        Assert.Equal("""{"mode":"approve","cluster":"c","force":true}""", Text(entries[0], "details"));
        Assert.Equal("17", Text(entries[2], "subject"));
        Assert.DoesNotContain(entries, e => Text(e, "details").Contains("ws", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_act_whose_entry_cannot_be_written_is_refused_and_does_not_happen_but_a_stop_of_all_repairs_does()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        await ExecuteAsync(server, "DROP TRIGGER audit_unchanged", "ALTER TABLE audit RENAME TO audit_gone");
        await PutAsync(server, "runbook-modes", """{"mode":"off","cluster":"c","force":true}""", HttpStatusCode.ServiceUnavailable);
        await SendAsync(server, HttpMethod.Post, "api/whistle/v1/login-links", HttpStatusCode.ServiceUnavailable);
        Assert.Empty((await GetAsync(server, "runbook-modes")).EnumerateArray());
        await PutAsync(server, "kill-switch", """{"on":true,"reason":"x"}""", HttpStatusCode.OK);
        Assert.True((await GetAsync(server, "kill-switch")).GetProperty("on").GetBoolean());
        Assert.Contains(
            (await GetAsync(server, "health")).GetProperty("problems").EnumerateArray(), p => Text(p, "component") == "audit");
        // To let repairs go again is an act like any other.
        await PutAsync(server, "kill-switch", """{"on":false,"reason":"x"}""", HttpStatusCode.ServiceUnavailable);

        await ExecuteAsync(server, "ALTER TABLE audit_gone RENAME TO audit");
        await PutAsync(server, "kill-switch", """{"on":false,"reason":"x"}""", HttpStatusCode.OK);
        await PutAsync(server, "kill-switch", """{"on":true,"reason":"y"}""", HttpStatusCode.OK);
        Assert.Equal(
            ["""{"on":false,"reason":"x"}""", """{"on":true,"reason":"y"}"""],
            (await EntriesAsync(server)).Where(e => Text(e, "outcome") == "done").Select(e => Text(e, "details")));
    }

    [Fact]
    public async Task Logging_in_and_out_and_tokens_that_are_not_valid_are_entries_and_a_flood_is_few()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var link = server.App.LoginLink();
        using var browser = new HttpClient { BaseAddress = server.App.Address };
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync(link, Cancellation)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await browser.GetAsync(link, Cancellation)).StatusCode);
        using var logout = new HttpRequestMessage(HttpMethod.Post, "logout");
        logout.Headers.Add("Origin", server.App.Address.GetLeftPart(UriPartial.Authority));
        await browser.SendAsync(logout, Cancellation);
        using var stranger = new HttpClient { BaseAddress = server.App.Address };
        stranger.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "wsa_wrong");
        for (var i = 0; i < 200; i++)
            Assert.Equal(HttpStatusCode.Unauthorized, (await stranger.GetAsync("api/whistle/v1/runs", Cancellation)).StatusCode);
        // No token was shown, and an agent is no person.
        using var nobody = new HttpClient { BaseAddress = server.App.Address };
        await nobody.GetAsync("api/whistle/v1/runs", Cancellation);
        await stranger.PostAsync("api/v1/write", new ByteArrayContent([]), Cancellation);
        await stranger.PostAsync("agent/v1/commands/lease", new ByteArrayContent([]), Cancellation);

        Assert.Equal(
            [
                ("log-in", "done", "local"), ("log-in", "refused", "local"), ("log-out", "done", "local"), ("list-runs", "refused", ""),
            ],
            (await EntriesAsync(server)).Select(e => (Text(e, "action"), Text(e, "outcome"), Text(e, "identity"))));
    }

    [Fact]
    public async Task A_node_that_enrols_itself_is_an_entry_of_its_cluster_in_the_name_of_its_token()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        var made = await PostAsync(server, "join-tokens", """{"cluster":"c","tenant":"acme"}""");
        using var node = new HttpClient { BaseAddress = server.App.Address };
        node.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", made.GetProperty("token").GetString());
        foreach (var name in new[] { "n1", "n2" })
            await node.PostAsJsonAsync(
                "agent/v1/enrol", new { node = name, credential = AccessToken.New(AccessToken.OfSender) }, Cancellation);
        node.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "wsj_wrong");
        await node.PostAsJsonAsync(
            "agent/v1/enrol", new { node = "n3", credential = AccessToken.New(AccessToken.OfSender) }, Cancellation);

        var identity = $"join-token:{made.GetProperty("made").GetProperty("id").GetString()}";
        Assert.Equal(
            [(identity, "acme", "c", "n1", "done"), (identity, "acme", "c", "n2", "refused"), ("", "", "", "n3", "refused")],
            (await EntriesAsync(server)).Skip(1).Select(
                e => (Text(e, "identity"), Text(e, "tenant"), Text(e, "cluster"), Text(e, "subject"), Text(e, "outcome"))));
    }

    [Fact]
    public async Task The_export_is_lines_of_JSON_that_the_script_of_the_document_verifies()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        for (var i = 0; i < 5; i++)
            await PostAsync(server, "pauses", $$"""{"reason":"Grüße \"{{i}}\" \u202e","for":"1h"}""");
        var script = Path.Combine(server.Folder, "verify.py");
        await File.WriteAllTextAsync(script, Script(), Cancellation);
        var lines = (await server.Http.GetStringAsync("api/whistle/v1/audit/export", Cancellation)).TrimEnd('\n').Split('\n');
        Assert.Equal(5, lines.Length);

        // That it was read is an entry of its own.
        var head = $"5:{JsonDocument.Parse(lines[4]).RootElement.GetProperty("hash").GetString()}";
        Assert.StartsWith("6:", Text(await GetAsync(server, "audit/verify"), "head"), StringComparison.Ordinal);
        Assert.Equal((0, $"{head}\n"), await RunAsync(lines));
        Assert.Equal((1, "Entry 3 is missing or was changed.\n"), await RunAsync([.. lines.Where((_, i) => i != 2)]));
        Assert.Equal(
            (1, "Entry 2 is missing or was changed.\n"),
            await RunAsync([.. lines.Select((l, i) => i == 1 ? l.Replace("add-pause", "end-pause", StringComparison.Ordinal) : l)]));
        Assert.True((await GetAsync(server, $"audit/verify?head={head}")).GetProperty("whole").GetBoolean());
        Assert.Equal(
            HttpStatusCode.BadRequest, (await server.Http.GetAsync("api/whistle/v1/audit/verify?head=7", Cancellation)).StatusCode);

        async Task<(int, string)> RunAsync(string[] export)
        {
            var file = Path.Combine(server.Folder, "audit.jsonl");
            await File.WriteAllLinesAsync(file, export, Cancellation);
            return Shell.Try($"{Environment.GetEnvironmentVariable("WHISTLE_TEST_PYTHON") ?? "python3"} {script} < {file}");
        }
    }

    [Fact]
    public async Task Damage_is_found_by_whoever_verifies_and_by_the_server_itself_which_goes_on()
    {
        var folder = Directory.CreateTempSubdirectory("whistle-audit").FullName;
        await using (var server = await InProcessServer.StartAsync(Cancellation, folder))
        {
            for (var i = 0; i < 3; i++)
                await PutAsync(server, "kill-switch", """{"on":true,"reason":"x"}""", HttpStatusCode.OK);
            await ExecuteAsync(server, "DROP TRIGGER audit_unchanged", "UPDATE audit SET actor = 'eve' WHERE number = 2");
            var answer = await GetAsync(server, "audit/verify");
            Assert.Equal((false, 2, "Entry 2 was changed."), (
                answer.GetProperty("whole").GetBoolean(), answer.GetProperty("firstWrong").GetInt64(), Text(answer, "fault")));
        }

        await using (var server = await InProcessServer.StartAsync(Cancellation, folder))
        {
            while (!(await GetAsync(server, "health")).GetProperty("problems").EnumerateArray().Any(p => Text(p, "component") == "audit"))
                Cancellation.ThrowIfCancellationRequested();
            await PutAsync(server, "kill-switch", """{"on":false,"reason":"x"}""", HttpStatusCode.OK);
            Assert.Equal("Whistle is ready.\n", await server.Http.GetStringAsync("-/ready", Cancellation));
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Lists_are_filtered_and_paged()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        foreach (var (tenant, cluster) in new[] { ("acme", "prod"), ("acme", "dev"), ("other", "prod") })
            await PostAsync(server, "join-tokens", $$"""{"tenant":"{{tenant}}","cluster":"{{cluster}}"}""");
        await PutAsync(server, "kill-switch", """{"on":true,"reason":"x"}""", HttpStatusCode.OK);

        // The first look is an entry itself.
        Assert.Equal([4, 3, 2, 1], await NumbersAsync(""));
        Assert.Equal([5, 4, 3, 2, 1], await NumbersAsync(""));
        Assert.Equal([4, 3], await NumbersAsync("?before=5&limit=2"));
        Assert.Equal([2, 1], await NumbersAsync("?before=3"));
        Assert.Equal(3, (await GetAsync(server, "audit?before=5&limit=2")).GetProperty("before").GetInt64());
        Assert.Equal(JsonValueKind.Null, (await GetAsync(server, "audit?before=3")).GetProperty("before").ValueKind);
        Assert.Equal([2, 1], await NumbersAsync("?tenant=acme"));
        Assert.Equal([4], await NumbersAsync("?action=set-kill-switch"));
        Assert.Equal([3, 2, 1], await NumbersAsync("?action=make*"));
        Assert.Equal([], await NumbersAsync("?outcome=failed"));
        Assert.Equal([], await NumbersAsync("?actor=ann"));
        Assert.Equal([5, 4, 3, 2, 1], await NumbersAsync("?since=1h&actor=local"));
        foreach (var wrong in new[] { "outcome=well", "since=soon" })
            Assert.Equal(HttpStatusCode.BadRequest, (await server.Http.GetAsync($"api/whistle/v1/audit?{wrong}", Cancellation)).StatusCode);

        async Task<IEnumerable<long>> NumbersAsync(string query) => (await GetAsync(server, $"audit{query}"))
            .GetProperty("entries").EnumerateArray().Select(e => e.GetProperty("number").GetInt64());
    }

    [Fact]
    public async Task Reading_a_tenants_data_is_an_entry_an_hour_for_each_tenant_and_kind_over_the_API_and_on_pages()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        foreach (var tenant in new[] { "acme", "other" })
            await server.App.Credentials.EnrollAsync(new(tenant, "prod"), "n1", Cancellation);
        for (var i = 0; i < 3; i++)
        {
            await GetAsync(server, "agents");
            await GetAsync(server, "kill-switch");
            await GetAsync(server, "health");
            await server.Http.GetStringAsync("api/v1/query?query=up", Cancellation);
            await server.Http.GetStringAsync("metrics", Cancellation);
            await server.Http.GetStringAsync("tickets", Cancellation);
            await server.Http.GetStringAsync("nodes/acme/prod/n1", Cancellation);
            await server.Http.GetAsync("nodes/nobody/prod/n1", Cancellation);
            await server.Http.GetAsync("incidents/none", Cancellation);
            await server.Http.GetAsync("api/whistle/v1/incidents/none", Cancellation);
        }

        var entries = (await GetAsync(server, "audit?action=read")).GetProperty("entries").EnumerateArray().Reverse().ToList();
        Assert.Equal(
            [
                ("acme", "list-agents"), ("other", "list-agents"), ("", "/api/v1/query"), ("acme", "page-node"), ("", "page-incident"),
            ],
            entries.Select(e => (Text(e, "tenant"), Text(e, "subject"))));
        Assert.All(
            entries,
            e => Assert.Equal(("operator", "local", "127.0.0.1"), (Text(e, "actor"), Text(e, "identity"), Text(e, "from"))));
    }

    [Fact]
    public async Task The_page_shows_what_was_done_as_text()
    {
        await using var server = await InProcessServer.StartAsync(Cancellation);
        await PutAsync(server, "kill-switch", """{"on":true,"reason":"<b>odd</b>"}""", HttpStatusCode.OK);

        var page = await server.Http.GetStringAsync("audit", Cancellation);
        Assert.Contains("set-kill-switch", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;odd", page, StringComparison.Ordinal);
        Assert.Contains("Nothing matches.", await server.Http.GetStringAsync("audit?who=nobody", Cancellation), StringComparison.Ordinal);
    }

    static string Script()
    {
        var document = File.ReadAllText(Path.Combine(RepositoryRoot(), "docs", "audit.md"));
        return document.Split("```python\n")[1].Split("```")[0];
    }

    static string RepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Whistle.sln")))
            folder = folder.Parent!;
        return folder.FullName;
    }

    static async Task<JsonElement[]> EntriesAsync(InProcessServer server) =>
    [
        .. (await GetAsync(server, "audit?limit=1000")).GetProperty("entries").EnumerateArray()
            .Where(e => Text(e, "action") != "read").Reverse(),
    ];

    static string Text(JsonElement element, string name) => element.GetProperty(name).ToString();

    static Task<JsonElement> GetAsync(InProcessServer server, string path) =>
        server.Http.GetFromJsonAsync<JsonElement>($"api/whistle/v1/{path}", Cancellation);

    static async Task PutAsync(InProcessServer server, string path, string body, HttpStatusCode expected)
    {
        using var answer = await server.Http.PutAsync($"api/whistle/v1/{path}", Json(body), Cancellation);
        Assert.Equal(expected, answer.StatusCode);
    }

    static async Task<JsonElement> PostAsync(InProcessServer server, string path, string body)
    {
        using var answer = await server.Http.PostAsync($"api/whistle/v1/{path}", Json(body), Cancellation);
        answer.EnsureSuccessStatusCode();
        return await answer.Content.ReadFromJsonAsync<JsonElement>(Cancellation);
    }

    static async Task SendAsync(InProcessServer server, HttpMethod method, string path, HttpStatusCode expected)
    {
        using var request = new HttpRequestMessage(method, path);
        using var answer = await server.Http.SendAsync(request, Cancellation);
        Assert.Equal(expected, answer.StatusCode);
    }

    static StringContent Json(string body) => new(body, null, "application/json");

    // Past the server, as whoever owns its database would.
    static async Task ExecuteAsync(InProcessServer server, params string[] statements)
    {
        var state = (StateDatabase)server.App.Services.GetService(typeof(StateDatabase))!;
        await using var connection = await state.OpenAsync(Cancellation);
        foreach (var statement in statements)
            await connection.ExecuteAsync(statement, Cancellation);
    }
}
