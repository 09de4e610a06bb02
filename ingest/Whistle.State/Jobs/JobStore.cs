using System.Data.Common;
using System.IO.Hashing;
using System.Text;

namespace Whistle.State.Jobs;

public enum JobOutcome
{
    Done,
    Failed,

    /// <summary>Its server was stopped or killed before it was done.</summary>
    Interrupted,
}

/// <summary>The latest run of a job.</summary>
/// <param name="KnownAt">Since when the state knows the job: nothing was due before.</param>
/// <param name="StartedAt">Null while it never ran.</param>
/// <param name="EndedAt">Null while it runs, and where the server that ran it was killed and has not come back.</param>
/// <param name="Reason">Why it failed; null otherwise.</param>
/// <param name="Instance">The server that ran it.</param>
public sealed record JobRun(
    DateTimeOffset KnownAt, DateTimeOffset? StartedAt, DateTimeOffset? EndedAt, JobOutcome? Outcome, string? Reason, string? Instance);

/// <summary>When each job ran last, and that it runs once at a time.</summary>
/// <param name="instance">A name of this server's own among all on the state.</param>
public sealed class JobStore(StateDatabase state, string instance)
{
    public static readonly StateSchema Tables = new("jobs",
        """
        CREATE TABLE jobs (
            name TEXT NOT NULL, place TEXT NOT NULL, known_at INTEGER NOT NULL, started_at INTEGER NULL, ended_at INTEGER NULL,
            outcome TEXT NULL, reason TEXT NULL, instance TEXT NULL, PRIMARY KEY (name, place)) WITHOUT ROWID
        """);

    static readonly RowReader Rows = new("jobs", "it is not known when that job last ran. The next run of the job writes the row again.");

    // Of this process: SQLite has one, and locks of PostgreSQL are taken again by the same session.
    readonly HashSet<string> _held = [];

    public string Instance => instance;

    /// <summary>Notes a job that the state does not know yet: what is due from then on counts as missed.</summary>
    public async Task KnowAsync(ScheduledJob job, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        await connection.ExecuteAsync(
            "INSERT INTO jobs (name, place, known_at) VALUES ($name, $place, $now) ON CONFLICT (name, place) DO NOTHING", cancellation,
            ("$name", job.Name), ("$place", PlaceOf(job)), ("$now", now));
    }

    /// <summary>By the name of the job; of jobs that each server does for itself, this server's.</summary>
    public async Task<IReadOnlyDictionary<string, JobRun>> LatestAsync(CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        var rows = await Rows.QueryAsync(
            connection,
            "SELECT name, known_at, started_at, ended_at, outcome, reason, instance, name FROM jobs WHERE place IN ('', $instance)",
            r => (Name: r.GetString(0), Run: Read(r)), cancellation, ("$instance", instance));
        return rows.ToDictionary(r => r.Name, r => r.Run);
    }

    /// <summary>What this server had begun when it ended is not running any more.</summary>
    public async Task EndLeftAsync(DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        await connection.ExecuteAsync(
            "UPDATE jobs SET ended_at = $now, outcome = $outcome "
            + "WHERE instance = $instance AND started_at IS NOT NULL AND ended_at IS NULL",
            cancellation, ("$now", now), ("$outcome", JobOutcome.Interrupted), ("$instance", instance));
    }

    /// <summary>
    /// Holds the job until the answer is disposed, or this process or its connection ends. Null where another run holds it.
    /// </summary>
    public async Task<IAsyncDisposable?> HoldAsync(ScheduledJob job, CancellationToken cancellation)
    {
        lock (_held)
        {
            if (!_held.Add(job.Name))
                return null;
        }

        var hold = new Hold(this, job.Name);
        try
        {
            if (state.IsPostgreSql && !job.IsOwn)
                hold.Connection = await LockAsync(hold.Key, cancellation);
            if (!state.IsPostgreSql || job.IsOwn || hold.Connection is not null)
                return hold;
        }
        catch
        {
            await hold.DisposeAsync();
            throw;
        }

        await hold.DisposeAsync();
        return null;
    }

    public async Task BeginAsync(ScheduledJob job, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        await connection.ExecuteAsync(
            """
            INSERT INTO jobs (name, place, known_at, started_at, instance) VALUES ($name, $place, $now, $now, $instance)
            ON CONFLICT (name, place) DO UPDATE SET started_at = excluded.started_at, ended_at = NULL, outcome = NULL, reason = NULL,
                instance = excluded.instance
            """,
            cancellation, ("$name", job.Name), ("$place", PlaceOf(job)), ("$now", now), ("$instance", instance));
    }

    public async Task EndAsync(
        ScheduledJob job, DateTimeOffset now, JobOutcome outcome, string? reason, CancellationToken cancellation)
    {
        await using var connection = await state.OpenAsync(cancellation);
        await connection.ExecuteAsync(
            "UPDATE jobs SET ended_at = $now, outcome = $outcome, reason = $reason "
            + "WHERE name = $name AND place = $place AND instance = $instance AND ended_at IS NULL",
            cancellation, ("$now", now), ("$outcome", outcome), ("$reason", reason), ("$name", job.Name), ("$place", PlaceOf(job)),
            ("$instance", instance));
    }

    string PlaceOf(ScheduledJob job) => job.IsOwn ? instance : "";

    static JobRun Read(DbDataReader row) => new(
        row.Instant(1), row.OptionalInstant(2), row.OptionalInstant(3),
        row.IsDBNull(4) ? null : row.Named<JobOutcome>(4), row.OptionalText(5), row.OptionalText(6));

    async Task<StateConnection?> LockAsync(long key, CancellationToken cancellation)
    {
        var connection = await state.OpenAsync(cancellation);
        try
        {
            var isHeld = await connection.QueryAsync(
                "SELECT pg_try_advisory_lock($key)", r => r.GetBoolean(0), cancellation, ("$key", key));
            if (isHeld[0])
                return connection;
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }

        await connection.DisposeAsync();
        return null;
    }

    sealed class Hold(JobStore store, string name) : IAsyncDisposable
    {
        public StateConnection? Connection { get; set; }

        public long Key { get; } = BitConverter.ToInt64(XxHash64.Hash(Encoding.UTF8.GetBytes($"whistle job\n{name}")));

        public async ValueTask DisposeAsync()
        {
            try
            {
                if (Connection is { } connection)
                {
                    await using (connection)
                        await connection.QueryAsync("SELECT pg_advisory_unlock($key)", _ => true, CancellationToken.None, ("$key", Key));
                }
            }
            catch (DbException)
            {
                // The lock is gone with the connection.
            }
            finally
            {
                lock (store._held)
                    store._held.Remove(name);
            }
        }
    }
}
