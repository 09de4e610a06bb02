using System.Globalization;
using System.Text.Json;

using Microsoft.Data.Sqlite;

using Whistle.Ingest;
using Whistle.Telemetry;

namespace Whistle.Detectors.Signals;

/// <summary>
/// Signals, their events and each group's last evaluation in SQLite. One transaction a group evaluation, so that a
/// process that dies finds either the state before or after. Instants are milliseconds since 1970 UTC.
/// </summary>
sealed class SignalStore
{
    const string Schema =
        """
        CREATE TABLE signals (
            rule TEXT NOT NULL, fingerprint TEXT NOT NULL, name TEXT NOT NULL, labels TEXT NOT NULL, element TEXT NOT NULL,
            annotations TEXT NOT NULL, value TEXT NOT NULL, state TEXT NOT NULL, before TEXT NOT NULL, since INTEGER NOT NULL,
            last_evaluation INTEGER NOT NULL, firing_since INTEGER, keep_since INTEGER, unknown_since INTEGER,
            paused INTEGER NOT NULL, PRIMARY KEY (rule, fingerprint)) WITHOUT ROWID;
        CREATE TABLE signal_events (
            id INTEGER PRIMARY KEY, at INTEGER NOT NULL, rule TEXT NOT NULL, fingerprint TEXT NOT NULL, name TEXT NOT NULL,
            labels TEXT NOT NULL, annotations TEXT NOT NULL, value TEXT NOT NULL, before TEXT, state TEXT NOT NULL, reason TEXT,
            since INTEGER NOT NULL, firing_since INTEGER);
        CREATE INDEX signal_events_at ON signal_events (at);
        CREATE TABLE rule_groups (name TEXT PRIMARY KEY, last_evaluation INTEGER NOT NULL) WITHOUT ROWID;
        """;

    static readonly TimeSpan EventsKept = TimeSpan.FromHours(24);

    readonly StateDatabase _database;

    public SignalStore(StateDatabase database)
    {
        _database = database;
        database.Migrate("detectors", Schema);
    }

    /// <summary>All active signals, each with the last evaluation that its group is known to have made.</summary>
    public IReadOnlyList<Signal> Load()
    {
        using var connection = _database.Open();
        using var command = connection.CreateCommand();
        command.CommandText =
            """
            SELECT rule, name, labels, element, annotations, value, state, before, since, last_evaluation, firing_since,
                keep_since, unknown_since, paused FROM signals
            """;
        using var reader = command.ExecuteReader();
        var signals = new List<Signal>();
        while (reader.Read())
            signals.Add(Read(reader));
        return signals;
    }

    /// <summary>When each group was last evaluated.</summary>
    public Dictionary<string, DateTimeOffset> LoadEvaluations()
    {
        using var connection = _database.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT name, last_evaluation FROM rule_groups";
        using var reader = command.ExecuteReader();
        var evaluations = new Dictionary<string, DateTimeOffset>();
        while (reader.Read())
            evaluations[reader.GetString(0)] = Instant(reader.GetInt64(1));
        return evaluations;
    }

    /// <summary>Writes what a group's evaluation changed: signals that are now so, those that ended, and the events.</summary>
    public void Save(string group, DateTimeOffset at, IEnumerable<Signal> changed, IEnumerable<SignalEvent> events)
    {
        using var connection = _database.Open();
        using var transaction = connection.BeginTransaction();
        foreach (var signal in changed)
        {
            if (signal.State is SignalState.Resolved)
                Delete(transaction, signal);
            else
                Upsert(transaction, signal);
        }

        foreach (var e in events)
            Append(transaction, e);
        Execute(transaction, "INSERT OR REPLACE INTO rule_groups VALUES ($group, $at)", ("$group", group), ("$at", Milliseconds(at)));
        Execute(transaction, "DELETE FROM signal_events WHERE at < $at", ("$at", Milliseconds(at - EventsKept)));
        transaction.Commit();
    }

    /// <summary>Signals that ended since then, the latest first.</summary>
    public IReadOnlyList<Signal> Ended(DateTimeOffset since)
    {
        using var connection = _database.Open();
        using var command = connection.CreateCommand();
        command.CommandText =
            """
            SELECT rule, name, labels, annotations, value, since, firing_since, at, reason FROM signal_events
            WHERE state = 'Resolved' AND at >= $since ORDER BY at DESC, id DESC
            """;
        command.Parameters.AddWithValue("$since", Milliseconds(since));
        using var reader = command.ExecuteReader();
        var signals = new List<Signal>();
        while (reader.Read())
            signals.Add(ReadEnded(reader));
        return signals;
    }

    static Signal Read(SqliteDataReader reader) => new()
    {
        Rule = reader.GetString(0),
        Name = reader.GetString(1),
        Labels = Labels.From(FromJson(reader.GetString(2))),
        Element = Labels.From(FromJson(reader.GetString(3))),
        Annotations = FromJson(reader.GetString(4)),
        Value = double.Parse(reader.GetString(5), CultureInfo.InvariantCulture),
        Condition = new(
            Enum.Parse<SignalState>(reader.GetString(6)),
            Instant(reader.GetInt64(8)),
            Instant(reader.GetInt64(9)),
            Enum.Parse<SignalState>(reader.GetString(7)),
            OptionalInstant(reader, 10),
            OptionalInstant(reader, 11),
            OptionalInstant(reader, 12),
            TimeSpan.FromMilliseconds(reader.GetInt64(13))),
    };

    static Signal ReadEnded(SqliteDataReader reader)
    {
        var labels = Labels.From(FromJson(reader.GetString(2)));
        var at = Instant(reader.GetInt64(7));
        return new()
        {
            Rule = reader.GetString(0),
            Name = reader.GetString(1),
            Labels = labels,
            Element = labels,
            Annotations = FromJson(reader.GetString(3)),
            Value = double.Parse(reader.GetString(4), CultureInfo.InvariantCulture),
            Condition = new(SignalState.Resolved, Instant(reader.GetInt64(5)), at)
            {
                FiringSince = OptionalInstant(reader, 6),
                EndedAt = at,
                Reason = Enum.Parse<SignalEnd>(reader.GetString(8)),
            },
        };
    }

    static void Upsert(SqliteTransaction transaction, Signal signal)
    {
        var condition = signal.Condition;
        Execute(
            transaction,
            """
            INSERT OR REPLACE INTO signals VALUES ($rule, $fingerprint, $name, $labels, $element, $annotations, $value, $state, $before,
                $since, $last, $firing, $keep, $unknown, $paused)
            """,
            ("$rule", signal.Rule), ("$fingerprint", Key(signal)), ("$name", signal.Name), ("$labels", Json(signal.Labels)),
            ("$element", Json(signal.Element)), ("$annotations", Json(signal.Annotations)), ("$value", signal.Value.ToString("R")),
            ("$state", condition.State.ToString()), ("$before", condition.Before.ToString()), ("$since", Milliseconds(condition.Since)),
            ("$last", Milliseconds(condition.LastEvaluation)), ("$firing", Optional(condition.FiringSince)),
            ("$keep", Optional(condition.KeepSince)), ("$unknown", Optional(condition.UnknownSince)),
            ("$paused", (long)condition.Paused.TotalMilliseconds));
    }

    static void Delete(SqliteTransaction transaction, Signal signal) => Execute(
        transaction, "DELETE FROM signals WHERE rule = $rule AND fingerprint = $fingerprint", ("$rule", signal.Rule), ("$fingerprint", Key(signal)));

    static void Append(SqliteTransaction transaction, SignalEvent e) => Execute(
        transaction,
        """
        INSERT INTO signal_events (at, rule, fingerprint, name, labels, annotations, value, before, state, reason, since, firing_since)
        VALUES ($at, $rule, $fingerprint, $name, $labels, $annotations, $value, $before, $state, $reason, $since, $firing)
        """,
        ("$at", Milliseconds(e.At)), ("$rule", e.Signal.Rule), ("$fingerprint", Key(e.Signal)), ("$name", e.Signal.Name),
        ("$labels", Json(e.Signal.Labels)), ("$annotations", Json(e.Signal.Annotations)), ("$value", e.Signal.Value.ToString("R")),
        ("$before", e.From?.ToString()), ("$state", e.Signal.State.ToString()), ("$reason", e.Signal.Condition.Reason?.ToString()),
        ("$since", Milliseconds(e.Signal.Condition.Since)), ("$firing", Optional(e.Signal.Condition.FiringSince)));

    static void Execute(SqliteTransaction transaction, string sql, params ReadOnlySpan<(string Name, object? Value)> parameters)
    {
        using var command = transaction.Connection!.CreateCommand();
        command.Transaction = transaction;
#pragma warning disable CA2100 // Every text is a constant of this file.
        command.CommandText = sql;
#pragma warning restore CA2100
        foreach (var (name, value) in parameters)
            command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        command.ExecuteNonQuery();
    }

    static string Key(Signal signal) => signal.Fingerprint.ToString("x16");

    static string Json(IEnumerable<Label> labels) =>
        JsonSerializer.Serialize(labels.ToDictionary(l => l.Name, l => l.Value), SignalJson.Default.DictionaryStringString);

    static Label[] FromJson(string json) =>
        [.. JsonSerializer.Deserialize(json, SignalJson.Default.DictionaryStringString)!.Select(p => new Label(p.Key, p.Value))];

    static long Milliseconds(DateTimeOffset instant) => instant.ToUnixTimeMilliseconds();

    static long? Optional(DateTimeOffset? instant) => instant?.ToUnixTimeMilliseconds();

    static DateTimeOffset Instant(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    static DateTimeOffset? OptionalInstant(SqliteDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : Instant(reader.GetInt64(column));
}
