using System.Data.Common;

using Whistle.Inventory.Access;
using Whistle.State;

namespace Whistle.Inventory.Audit;

/// <summary>The number and the hash of the last entry; such as <c>1234:9f86…</c>.</summary>
public sealed record AuditHead(long Number, string Hash)
{
    /// <summary>Null where the text is none.</summary>
    public static AuditHead? Parse(string text) =>
        text.Split(':') is [var number, { Length: 64 } hash] && hash.All(char.IsAsciiHexDigitLower)
            && long.TryParse(number, System.Globalization.CultureInfo.InvariantCulture, out var counted) && counted >= 0
            ? new(counted, hash) : null;

    public override string ToString() => $"{Number}:{Hash}";
}

/// <summary>The rows of the log, and what is known of its end in a table of its own.</summary>
static class AuditTable
{
    // Far from where numbers end.
    const long MostNumber = 1L << 62;

    const string Columns =
        "number, at, actor, identity, source, action, tenant, cluster, subject, details, outcome, reason, previous, hash, "
        + "CAST(octet_length(actor) + octet_length(identity) + octet_length(source) + octet_length(action) + octet_length(tenant) "
        + "+ octet_length(cluster) + octet_length(subject) + octet_length(details) + octet_length(outcome) + octet_length(reason) "
        + "+ octet_length(previous) + octet_length(hash) AS BIGINT), number";

    const string Tables =
        """
        CREATE TABLE audit (
            number INTEGER NOT NULL PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, identity TEXT NOT NULL, source TEXT NOT NULL,
            action TEXT NOT NULL, tenant TEXT NOT NULL, cluster TEXT NOT NULL, subject TEXT NOT NULL, details TEXT NOT NULL,
            outcome TEXT NOT NULL, reason TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL);
        CREATE INDEX audit_by_time ON audit (at);
        CREATE TABLE audit_head (id INTEGER NOT NULL PRIMARY KEY, number INTEGER NOT NULL, hash TEXT NOT NULL);
        """;

    const string Kept = "The audit is only added to: nothing in it is changed or deleted.";

    public static readonly StateSchema Schema = new("audit", new StateScript(Tables, PrepareAsync));

    static readonly RowReader Reader =
        new("audit", "it is not listed. `whistle audit verify` says what was changed first; see docs/audit.md.");

    /// <summary>Writes the entry that follows the head. Whoever calls has the log's scope.</summary>
    public static async Task<AuditEntry> AppendAsync(
        StateConnection connection, AuditRecord record, DateTimeOffset now, CancellationToken cancellation)
    {
        if (await HeadAsync(connection, cancellation) is not { } head)
        {
            // What follows continues from what is left, and says so for ever.
            var last = await LastAsync(connection, cancellation);
            var lost = await InsertAsync(
                connection, last,
                new(AuditActor.Server, "note-lost-head", AccessScope.All, Details: $$"""{"last":{{last.Number}}}"""), now, cancellation);
            head = new(lost.Number, lost.Hash);
        }
        else if (await HasAsync(connection, head.Number + 1, cancellation))
        {
            // Somebody else wrote there; it is found by whoever verifies.
            head = head with { Number = (await LastAsync(connection, cancellation)).Number };
        }

        var entry = await InsertAsync(connection, head, record, now, cancellation);
        await SetHeadAsync(connection, new(entry.Number, entry.Hash), cancellation);
        return entry;
    }

    /// <summary>Null where it is missing or damaged.</summary>
    public static async Task<AuditHead?> HeadAsync(StateConnection connection, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            "SELECT number, hash FROM audit_head WHERE id = 1",
            r => r.GetValue(0) is long number and >= 0 and < MostNumber && r.GetValue(1) is string hash
                ? AuditHead.Parse($"{number}:{hash}") : null,
            cancellation)).FirstOrDefault();

    /// <summary>Whether the same was written after the instant.</summary>
    public static async Task<bool> HasAsync(
        StateConnection connection, AuditRecord record, DateTimeOffset after, CancellationToken cancellation = default) =>
        (await connection.QueryAsync(
            "SELECT number FROM audit WHERE at > $after AND identity = $identity AND action = $action AND subject = $subject "
            + "AND tenant = $tenant LIMIT 1",
            r => r.GetInt64(0), cancellation, ("$after", after), ("$identity", record.Actor.Identity), ("$action", record.Action),
            ("$subject", record.Subject), ("$tenant", record.Scope.Tenant ?? ""))).Count > 0;

    /// <summary>The latest first.</summary>
    public static Task<List<AuditEntry>> ListAsync(
        StateConnection connection, AuditFilter filter, int most, CancellationToken cancellation)
    {
        var (where, parameters) = Where(filter);
        return Reader.QueryAsync(
            connection, $"SELECT {Columns} FROM audit WHERE {where} ORDER BY number DESC LIMIT $most", EntryOf, cancellation,
            [.. parameters, ("$most", most)]);
    }

    /// <summary>The oldest first.</summary>
    public static async Task<(IReadOnlyList<AuditEntry> Entries, long? Last)> AfterAsync(
        StateConnection connection, AuditFilter filter, long after, int most, CancellationToken cancellation)
    {
        var (where, parameters) = Where(filter);
        var rows = await connection.QueryAsync(
            $"SELECT {Columns} FROM audit WHERE {where} AND number > $after ORDER BY number LIMIT $most", Walked, cancellation,
            [.. parameters, ("$after", after), ("$most", most)]);
        return ([.. rows.Select(r => r.Entry).OfType<AuditEntry>()], rows.Count == 0 ? null : rows[^1].Number);
    }

    /// <summary>The next rows with their numbers; the entry is null where a row says none.</summary>
    public static Task<List<(long Number, AuditEntry? Entry)>> RowsAsync(
        StateConnection connection, long after, int most, CancellationToken cancellation) => connection.QueryAsync(
            $"SELECT {Columns} FROM audit WHERE number > $after ORDER BY number LIMIT $most", Walked, cancellation, ("$after", after),
            ("$most", most));

    static (string Sql, (string, object?)[] Parameters) Where(AuditFilter filter)
    {
        List<string> all = ["number < $before"];
        List<(string, object?)> parameters = [("$before", filter.Before ?? long.MaxValue)];
        Add(filter.Since, "at >= $since", "$since");
        Add(filter.Until, "at < $until", "$until");
        AddText(filter.Actor, ["actor", "identity"], "$actor");
        AddText(filter.Action, ["action"], "$action");
        Add(filter.Outcome is { } outcome ? AuditEntry.Text(outcome) : null, "outcome = $outcome", "$outcome");
        if (filter.Scopes is { } scopes && !scopes.Any(s => s.IsAll))
        {
            List<string> any = ["1 = 0"];
            for (var i = 0; i < scopes.Count; i++)
            {
                any.Add(scopes[i].Cluster is null ? $"tenant = $tenant{i}" : $"(tenant = $tenant{i} AND cluster = $cluster{i})");
                parameters.Add(($"$tenant{i}", scopes[i].Tenant));
                if (scopes[i].Cluster is { } cluster)
                    parameters.Add(($"$cluster{i}", cluster));
            }

            all.Add($"({string.Join(" OR ", any)})");
        }

        return (string.Join(" AND ", all), [.. parameters]);

        void AddText(string? text, string[] columns, string name)
        {
            var begins = text is [.., '*'];
            Add(
                begins ? text![..^1] : text,
                $"({string.Join(" OR ", columns.Select(c => $"{(begins ? $"substr({c}, 1, length({name}))" : c)} = {name}"))})", name);
        }

        void Add(object? value, string condition, string name)
        {
            if (value is null)
                return;
            all.Add(condition);
            parameters.Add((name, value));
        }
    }

    static async Task<AuditHead> LastAsync(StateConnection connection, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            $"SELECT number, hash FROM audit WHERE number BETWEEN 1 AND {MostNumber} ORDER BY number DESC LIMIT 1",
            r => new AuditHead(r.GetInt64(0), r.GetString(1)), cancellation)).FirstOrDefault() ?? new(0, AuditEntry.NoHash);

    static async Task<bool> HasAsync(StateConnection connection, long number, CancellationToken cancellation) =>
        (await connection.QueryAsync(
            "SELECT number FROM audit WHERE number = $number", r => r.GetInt64(0), cancellation, ("$number", number))).Count > 0;

    static async Task<AuditEntry> InsertAsync(
        StateConnection connection, AuditHead head, AuditRecord record, DateTimeOffset now, CancellationToken cancellation)
    {
        var entry = AuditEntry.Make(head.Number + 1, head.Hash, now, record);
        await connection.ExecuteAsync(
            "INSERT INTO audit (number, at, actor, identity, source, action, tenant, cluster, subject, details, outcome, reason, previous, "
            + "hash) VALUES ($number, $at, $actor, $identity, $source, $action, $tenant, $cluster, $subject, $details, $outcome, $reason, "
            + "$previous, $hash)",
            cancellation, ("$number", entry.Number), ("$at", entry.At), ("$actor", entry.What.Actor.Name),
            ("$identity", entry.What.Actor.Identity), ("$source", entry.What.Actor.From), ("$action", entry.What.Action),
            ("$tenant", entry.What.Scope.Tenant ?? ""), ("$cluster", entry.What.Scope.Cluster ?? ""), ("$subject", entry.What.Subject),
            ("$details", entry.What.Details), ("$outcome", entry.OutcomeText), ("$reason", entry.What.Reason),
            ("$previous", entry.Previous), ("$hash", entry.Hash));
        return entry;
    }

    static Task<int> SetHeadAsync(StateConnection connection, AuditHead head, CancellationToken cancellation) => connection.ExecuteAsync(
        "INSERT INTO audit_head (id, number, hash) VALUES (1, $number, $hash) "
        + "ON CONFLICT (id) DO UPDATE SET number = excluded.number, hash = excluded.hash",
        cancellation, ("$number", head.Number), ("$hash", head.Hash));

    static (long Number, AuditEntry? Entry) Walked(DbDataReader row)
    {
        var number = row.GetInt64(0);
        try
        {
            return (number, EntryOf(row));
        }
        catch (Exception e) when (e is InvalidDataException or ArgumentException)
        {
            return (number, null);
        }
    }

    // Two rows that differ in anything never read alike: what is not as it was written is refused, not understood.
    static AuditEntry EntryOf(DbDataReader row)
    {
        var texts = new string[12];
        for (var i = 0; i < texts.Length; i++)
            texts[i] = row.GetValue(i + 2) is string text && !text.Contains('\uFFFD') ? text : throw new InvalidDataException(
                $"{row.GetName(i + 2)} is not a text");
        if (row.GetValue(14) is not long octets || octets != texts.Sum(t => (long)System.Text.Encoding.UTF8.GetByteCount(t)))
            throw new InvalidDataException("its texts are longer than they read");
        var scope = texts[4].Length == 0 ? AccessScope.All
            : texts[5].Length == 0 ? AccessScope.Of(texts[4]) : AccessScope.Of(new ClusterId(texts[4], texts[5]));
        if ((scope.Cluster ?? "") != texts[5])
            throw new InvalidDataException("cluster is of no tenant");
        return new(
            row.GetInt64(0), row.Instant(1),
            new(new(texts[0], texts[1], texts[2]), texts[3], scope, texts[6], texts[7])
            {
                Outcome = AuditEntry.OutcomeOf(texts[8]) ?? throw new InvalidDataException($"\"{texts[8]}\" is no outcome"),
                Reason = texts[9],
            },
            texts[10], texts[11]);
    }

    static async Task PrepareAsync(StateConnection connection, CancellationToken cancellation)
    {
        await SetHeadAsync(connection, new(0, AuditEntry.NoHash), cancellation);
        string[] guards = connection.IsPostgreSql
            ?
            [
                $"CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{Kept}'; END $$",
                "CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION audit_is_kept()",
            ]
            :
            [
                $"CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, '{Kept}'); END",
                $"CREATE TRIGGER audit_undeleted BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, '{Kept}'); END",
            ];
        foreach (var guard in guards)
            await connection.ExecuteAsync(guard, cancellation);
    }
}
