using System.Collections.Concurrent;
using System.Text.Json;

using Whistle.AcceptanceTests.Harness;
using Whistle.Inventory;
using Whistle.State;

using Xunit;

namespace Whistle.AcceptanceTests.Roles;

/// <summary>
/// Processes of the real program that share the work over Kafka's protocol, InfluxDB and PostgreSQL, as an operator would start them on
/// machines of their own.
/// </summary>
sealed class RoleFleet : IAsyncDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-roles").FullName;
    readonly ConcurrentDictionary<string, ServerProcess> _processes = [];
    readonly Dictionary<string, string> _environment;
    readonly string _database;

    RoleFleet(string database, string brokers, InfluxServer influx, string rules)
    {
        _database = database;
        var bucket = influx.NewBucket();
        var name = KafkaCluster.NewName("whistle");
        File.WriteAllText(Path.Combine(_folder, "rules.yaml"), rules);
        _environment = new()
        {
            ["WHISTLE_Database"] = database,
            ["WHISTLE_Kafka__Brokers"] = brokers,
            ["WHISTLE_Kafka__Topic"] = name,
            ["WHISTLE_Kafka__DeadLetterTopic"] = $"{name}.dead-letter",
            ["WHISTLE_Kafka__Group"] = name,
            ["WHISTLE_Kafka__SessionTimeout"] = "6s",
            ["WHISTLE_InfluxDb__Url"] = bucket.Url.ToString(),
            ["WHISTLE_InfluxDb__Bucket"] = bucket.Bucket,
            ["WHISTLE_InfluxDb__Org"] = bucket.Org,
            ["WHISTLE_InfluxDb__Token"] = influx.Token,
            ["WHISTLE_Rules"] = Path.Combine(_folder, "rules.yaml"),
            ["WHISTLE_Agent"] = "false",
        };
    }

    /// <param name="processes">Such as <c>gateway-1</c>: the role, and a number.</param>
    public static async Task<RoleFleet> StartAsync(
        PostgreSqlServer postgreSql, KafkaCluster kafka, InfluxServer influx, string rules,
        IReadOnlyDictionary<string, string> settings, params string[] processes)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var fleet = new RoleFleet(await postgreSql.NewDatabaseAsync(cancellation), kafka.Brokers, influx, rules);
        foreach (var (key, value) in settings)
            fleet._environment[key] = value;
        try
        {
            foreach (var name in processes)
                await fleet.StartAsync(name);
        }
        catch
        {
            await fleet.DisposeAsync();
            throw;
        }

        return fleet;
    }

    public ServerProcess this[string name] => _processes[name];

    public async Task StartAsync(string name)
    {
        var process = _processes.GetOrAdd(
            name, n => new ServerProcess(Path.Combine(_folder, n), "--roles", n[..n.LastIndexOf('-')].Replace('+', ',')));
        foreach (var (key, value) in _environment)
            process.Environment[key] = value;
        await process.StartAsync(TestContext.Current.CancellationToken);
    }

    public async Task<string> EnrollAsync(ClusterId cluster, string? node = null)
    {
        using var state = StateDatabase.PostgreSql(_database);
        return await new Credentials(state, TimeProvider.System).EnrollAsync(cluster, node, TestContext.Current.CancellationToken);
    }

    /// <summary>The processes that evaluate some clusters, by the names that they give themselves.</summary>
    public async Task<HashSet<string>> OwnersAsync() => [.. await RowsAsync("SELECT DISTINCT owner FROM rule_shares")];

    /// <summary>The first column of each row, as text.</summary>
    public async Task<List<string>> RowsAsync(string sql)
    {
        await using var source = Npgsql.NpgsqlDataSource.Create(_database);
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync(TestContext.Current.CancellationToken);
        var rows = new List<string>();
        while (await reader.ReadAsync(TestContext.Current.CancellationToken))
            rows.Add(reader.GetString(0));
        return rows;
    }

    /// <summary>What a process of the role <c>web</c> answers.</summary>
    public async Task<JsonElement> AskAsync(string path, string from = "web-1")
    {
        var text = await _processes[from].Http.GetStringAsync(path, TestContext.Current.CancellationToken);
        return JsonDocument.Parse(text).RootElement;
    }

    /// <summary>What every process says of itself, for a test that fails.</summary>
    public async Task<string> TellAsync(params string[] questions)
    {
        var told = new List<string>();
        foreach (var (name, process) in _processes)
        {
            foreach (var path in questions.Prepend("api/whistle/v1/health"))
            {
                try
                {
                    using var answer = await process.Http.GetAsync(new Uri(path, UriKind.Relative));
                    told.Add($"{name} {path}: {(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync()}");
                }
                catch (HttpRequestException e)
                {
                    told.Add($"{name}: {e.Message}");
                    break;
                }
            }
        }

        return string.Join(Environment.NewLine, told);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes.Values)
            await process.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
