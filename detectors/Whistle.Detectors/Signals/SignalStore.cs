using System.Data.Common;
using System.Globalization;
using System.Text.Json;

using Whistle.State;
using Whistle.Telemetry;

namespace Whistle.Detectors.Signals;

/// <summary>
/// Signals, their events and each group's last evaluation. One transaction a group evaluation, so that a
/// process that dies finds either the state before or after.
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

    internal static readonly StateSchema Tables = new("detectors", Schema, RuleShares.Tables);

    static readonly RowReader Held = new("signals", "it is ignored. If it is still active, the next evaluation finds it again and writes "
        + "the row, and its waiting time starts over. This stays until the next start.");
    static readonly RowReader Events = new("signal_events", "it is not known how that signal ended. It is dropped after 24 hours.");
    static readonly RowReader Evaluations =
        new("rule_groups", "its group counts as not evaluated. The next evaluation writes the row again; nothing is to be done.");

    static readonly RowReader ShareEvaluations =
        new("rule_evaluations", "its group counts as not evaluated. The next evaluation writes the row again; nothing is to be done.");

    readonly StateDatabase _database;
    readonly RuleShares _shares;

    public SignalStore(StateDatabase database, RuleShares? shares = null)
    {
        (_database, _shares) = (database, shares ?? RuleShares.Alone);
        database.Add(Tables);
    }

    public RuleShares Shares => _shares;

    /// <summary>All active signals, each with the last evaluation that its group is known to have made for its share.</summary>
    public async Task<IReadOnlyList<Signal>> LoadSeenAsync(CancellationToken cancellation) =>
        await SeenAsync(await LoadSharedAsync(cancellation), cancellation);

    /// <summary>Likewise, of rows that were read before.</summary>
    public async Task<IReadOnlyList<Signal>> SeenAsync(
        IReadOnlyList<(Signal Signal, string Share)> rows, CancellationToken cancellation)
    {
        var (alone, shares) = (await LoadEvaluationsAsync(cancellation), await LoadShareEvaluationsAsync(cancellation));
        return [.. rows.Select(s => Seen(s.Signal, s.Share, alone, shares))];
    }

    // A signal's row is written when it changes; its group's evaluations are known to have gone on since.
    static Signal Seen(
        Signal signal, string share, Dictionary<string, DateTimeOffset> alone, Dictionary<(string, string), DateTimeOffset> shares)
    {
        var group = signal.Rule[..signal.Rule.IndexOf('\n', StringComparison.Ordinal)];
        var at = share.Length == 0 ? alone.GetValueOrDefault(group) : shares.GetValueOrDefault((group, share));
        return at > signal.Condition.LastEvaluation
            ? signal with { Condition = signal.Condition with { LastEvaluation = at } }
            : signal;
    }

    /// <summary>All active signals as their rows have them.</summary>
    public async Task<IReadOnlyList<Signal>> LoadAsync(CancellationToken cancellation) =>
        [.. (await LoadSharedAsync(cancellation)).Select(s => s.Signal)];

    /// <summary>Likewise, each with its share.</summary>
    public async Task<IReadOnlyList<(Signal Signal, string Share)>> LoadSharedAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Held.QueryAsync(
            connection,
            """
            SELECT rule, name, labels, element, annotations, value, state, before, since, last_evaluation, firing_since,
                keep_since, unknown_since, paused, share, name || ' ' || fingerprint FROM signals
            """,
            r => (Read(r), r.GetString(14)), cancellation);
    }

    async Task<Dictionary<(string, string), DateTimeOffset>> LoadShareEvaluationsAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return (await ShareEvaluations.QueryAsync(
            connection, "SELECT name, share, last_evaluation, name || ' ' || share FROM rule_evaluations",
            r => (Key: (r.GetString(0), r.GetString(1)), At: r.Instant(2)), cancellation)).ToDictionary(e => e.Key, e => e.At);
    }

    /// <summary>When each group was last evaluated.</summary>
    public async Task<Dictionary<string, DateTimeOffset>> LoadEvaluationsAsync(CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return (await Evaluations.QueryAsync(
            connection, "SELECT name, last_evaluation, name FROM rule_groups", r => (Name: r.GetString(0), At: r.Instant(1)),
            cancellation)).ToDictionary(e => e.Name, e => e.At);
    }

    /// <summary>
    /// Writes what a group's evaluation changed: signals that are now so, those that ended, and the events. What is of a share that another
    /// process has by now is left out.
    /// </summary>
    public async Task SaveAsync(
        string group, DateTimeOffset at, IEnumerable<Signal> changed, IEnumerable<SignalEvent> events, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await using var transaction = await connection.BeginWriteAsync(_shares.ScopesOf(group), cancellation);
        var (held, touched) = (await _shares.HeldAsync(connection, cancellation), new HashSet<string>());
        foreach (var signal in changed.Where(s => held.Contains(_shares.Of(s))))
        {
            touched.Add(_shares.Of(signal));
            if (signal.State is SignalState.Resolved)
                await DeleteAsync(connection, signal, cancellation);
            else
                await UpsertAsync(connection, signal, _shares.Of(signal), cancellation);
        }

        foreach (var e in events.Where(e => held.Contains(_shares.Of(e.Signal))))
            await AppendAsync(connection, e, cancellation);
        if (_shares.IsAlone)
            await connection.ExecuteAsync(
                "INSERT INTO rule_groups VALUES ($group, $at) ON CONFLICT (name) DO UPDATE SET last_evaluation = excluded.last_evaluation",
                cancellation, ("$group", group), ("$at", at));
        else
            await SaveSharesAsync(connection, group, at, held, touched, cancellation);
        await transaction.CommitAsync(cancellation);
    }

    static async Task SaveSharesAsync(
        StateConnection connection, string group, DateTimeOffset at, HashSet<string> held, HashSet<string> touched,
        CancellationToken cancellation)
    {
        // In one order, for rows that others change too.
        foreach (var share in held.Order(StringComparer.Ordinal))
        {
            await connection.ExecuteAsync(
                "INSERT INTO rule_evaluations VALUES ($group, $share, $at) ON CONFLICT (name, share) "
                + "DO UPDATE SET last_evaluation = excluded.last_evaluation",
                cancellation, ("$group", group), ("$share", share), ("$at", at));
            if (touched.Contains(share))
                await connection.ExecuteAsync(
                    "UPDATE rule_shares SET changes = changes + 1 WHERE share = $share", cancellation, ("$share", share));
        }
    }

    /// <summary>Drops what happened more than a day ago.</summary>
    public async Task DropEventsAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        await connection.ExecuteAsync("DELETE FROM signal_events WHERE at < $at", cancellation, ("$at", now - EventsKept));
    }

    /// <summary>Signals that ended since then, the latest first.</summary>
    public async Task<IReadOnlyList<Signal>> EndedAsync(DateTimeOffset since, CancellationToken cancellation)
    {
        await using var connection = await _database.OpenAsync(cancellation);
        return await Events.QueryAsync(
            connection,
            """
            SELECT rule, name, labels, annotations, value, since, firing_since, at, reason, id FROM signal_events
            WHERE state = 'Resolved' AND at >= $since ORDER BY at DESC, id DESC
            """,
            ReadEnded, cancellation, ("$since", since));
    }

    static Signal Read(DbDataReader reader) => new()
    {
        Rule = reader.GetString(0),
        Name = reader.GetString(1),
        Labels = Labels.From(FromJson(reader.GetString(2))),
        Element = Labels.From(FromJson(reader.GetString(3))),
        Annotations = FromJson(reader.GetString(4)),
        Value = double.Parse(reader.GetString(5), CultureInfo.InvariantCulture),
        Condition = new(
            reader.Named<SignalState>(6),
            reader.Instant(8),
            reader.Instant(9),
            reader.Named<SignalState>(7),
            reader.OptionalInstant(10),
            reader.OptionalInstant(11),
            reader.OptionalInstant(12),
            TimeSpan.FromMilliseconds(reader.GetInt64(13))),
    };

    static Signal ReadEnded(DbDataReader reader)
    {
        var labels = Labels.From(FromJson(reader.GetString(2)));
        var at = reader.Instant(7);
        return new()
        {
            Rule = reader.GetString(0),
            Name = reader.GetString(1),
            Labels = labels,
            Element = labels,
            Annotations = FromJson(reader.GetString(3)),
            Value = double.Parse(reader.GetString(4), CultureInfo.InvariantCulture),
            Condition = new(SignalState.Resolved, reader.Instant(5), at)
            {
                FiringSince = reader.OptionalInstant(6),
                EndedAt = at,
                Reason = reader.Named<SignalEnd>(8),
            },
        };
    }

    static async Task UpsertAsync(StateConnection connection, Signal signal, string share, CancellationToken cancellation)
    {
        var condition = signal.Condition;
        await connection.ExecuteAsync(
            """
            INSERT INTO signals VALUES ($rule, $fingerprint, $name, $labels, $element, $annotations, $value, $state, $before,
                $since, $last, $firing, $keep, $unknown, $paused, $share)
            ON CONFLICT (rule, fingerprint) DO UPDATE SET name = excluded.name, labels = excluded.labels, element = excluded.element,
                annotations = excluded.annotations, value = excluded.value, state = excluded.state, before = excluded.before,
                since = excluded.since,
                last_evaluation = excluded.last_evaluation, firing_since = excluded.firing_since, keep_since = excluded.keep_since,
                unknown_since = excluded.unknown_since, paused = excluded.paused, share = excluded.share
            """,
            cancellation, ("$rule", signal.Rule), ("$fingerprint", Key(signal)), ("$name", signal.Name), ("$labels", Json(signal.Labels)),
            ("$element", Json(signal.Element)), ("$annotations", Json(signal.Annotations)), ("$value", signal.Value.ToString("R")),
            ("$state", condition.State.ToString()), ("$before", condition.Before.ToString()), ("$since", condition.Since),
            ("$last", condition.LastEvaluation), ("$firing", condition.FiringSince),
            ("$keep", condition.KeepSince), ("$unknown", condition.UnknownSince),
            ("$paused", (long)condition.Paused.TotalMilliseconds), ("$share", share));
    }

    static async Task DeleteAsync(StateConnection connection, Signal signal, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            "DELETE FROM signals WHERE rule = $rule AND fingerprint = $fingerprint", cancellation, ("$rule", signal.Rule),
            ("$fingerprint", Key(signal)));

    static async Task AppendAsync(StateConnection connection, SignalEvent e, CancellationToken cancellation) =>
        await connection.ExecuteAsync(
            """
            INSERT INTO signal_events (at, rule, fingerprint, name, labels, annotations, value, before, state, reason, since, firing_since)
            VALUES ($at, $rule, $fingerprint, $name, $labels, $annotations, $value, $before, $state, $reason, $since, $firing)
            """,
            cancellation, ("$at", e.At), ("$rule", e.Signal.Rule), ("$fingerprint", Key(e.Signal)), ("$name", e.Signal.Name),
            ("$labels", Json(e.Signal.Labels)), ("$annotations", Json(e.Signal.Annotations)), ("$value", e.Signal.Value.ToString("R")),
            ("$before", e.From?.ToString()), ("$state", e.Signal.State.ToString()), ("$reason", e.Signal.Condition.Reason?.ToString()),
            ("$since", e.Signal.Condition.Since), ("$firing", e.Signal.Condition.FiringSince));

    static string Key(Signal signal) => signal.Fingerprint.ToString("x16");

    static string Json(IEnumerable<Label> labels) =>
        JsonSerializer.Serialize(labels.ToDictionary(l => l.Name, l => l.Value), SignalJson.Default.DictionaryStringString);

    static Label[] FromJson(string json) =>
        [.. JsonSerializer.Deserialize(json, SignalJson.Default.DictionaryStringString)!.Select(p => new Label(p.Key, p.Value))];
}
