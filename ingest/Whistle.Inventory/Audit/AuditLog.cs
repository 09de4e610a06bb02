using System.Data.Common;
using System.Runtime.CompilerServices;

using Microsoft.Extensions.Logging;

using Whistle.Inventory.Access;
using Whistle.State;
using Whistle.State.Health;

namespace Whistle.Inventory.Audit;

/// <summary>Which entries to list; null where it does not matter.</summary>
/// <param name="Since">From then on.</param>
/// <param name="Until">Before then.</param>
/// <param name="Actor">The name or the identity of who asked; with an asterisk at its end, what they begin with.</param>
/// <param name="Action">With an asterisk at its end, what it begins with.</param>
/// <param name="Scopes">Only what lies in one of them.</param>
/// <param name="Before">Only those with lower numbers.</param>
public sealed record AuditFilter(
    DateTimeOffset? Since = null, DateTimeOffset? Until = null, string? Actor = null, string? Action = null, AuditOutcome? Outcome = null,
    IReadOnlyList<AccessScope>? Scopes = null, long? Before = null);

/// <summary>
/// Who did what, from where and when: a table that is only added to, whose entries are chained by hashes. Several processes may append.
/// </summary>
/// <remarks>
/// Whoever acts runs within <see cref="RecordAsync{T}"/>: the entry commits with the first thing that the act changes in the state, or on
/// its own after an act that changed nothing; an act whose entry cannot be written does not happen. The API's routes and the dashboard's
/// acts do so by themselves. Anything else, such as a log-in, makes an <see cref="AuditAct"/> with what it knows, runs its work within
/// <see cref="RecordAsync{T}"/>, and says <see cref="AuditAct.Refuse"/> before it commits or returns, where it does not let somebody in.
/// What is not a change of the state, such as a link that opens a session, calls <see cref="AuditAct.WriteAsync"/> first.
/// What only happened is written with <see cref="AppendAsync"/>, refusals that anybody can cause with <see cref="RefuseAsync"/>, which
/// bounds how many are written.
/// </remarks>
public sealed class AuditLog
{
    /// <summary>Of problems on the health board.</summary>
    public const string Component = "audit";

    public static readonly StateSchema Tables = AuditTable.Schema;

    const int PageSize = 1_000;

    // Taken last in every transaction, so that numbers have no gaps and nobody who has it waits.
    static readonly StateScope Scope = StateScope.Of("audit");

    readonly StateDatabase _state;
    readonly TimeProvider _time;
    readonly HealthBoard? _health;
    readonly ILogger? _logger;
    readonly RefusalBound _refusals = new();
    bool _isFailing;

    public AuditLog(StateDatabase state, TimeProvider time, HealthBoard? health = null, ILogger<AuditLog>? logger = null)
    {
        (_state, _time, _health, _logger) = (state, time, health, logger);
        state.Add(Tables);
        state.BeforeCommit = (connection, cancellation) => AlongAsync(state, connection, cancellation);
    }

    /// <summary>Writes an entry in a transaction of its own.</summary>
    public async Task<AuditEntry> AppendAsync(AuditRecord record, CancellationToken cancellation)
    {
        // What is written here is not what the act that goes on has changed.
        AuditAct.Current = null;
        try
        {
            await using var connection = await _state.OpenAsync(cancellation);
            await using var transaction = await connection.BeginWriteAsync(StateScope.Rows, cancellation);
            var entry = await WriteAsync(connection, record, cancellation);
            await transaction.CommitAsync(cancellation);
            Works();
            return entry;
        }
        catch (Exception e) when (e is DbException or TimeoutException)
        {
            Report(e);
            throw;
        }
    }

    /// <summary>As <see cref="AppendAsync"/>; where it cannot be written it is reported, and what happened stays as it is.</summary>
    public async Task NoteAsync(AuditRecord record)
    {
        try
        {
            await AppendAsync(record, CancellationToken.None);
        }
        catch (Exception e)
        {
            Report(e);
        }
    }

    /// <summary>
    /// Does the act, and writes down that it was done, refused or failed. What the act changes in the state is committed with its entry,
    /// but for an act that <see cref="AuditAct.GoesFirst"/>.
    /// </summary>
    /// <param name="refusal">Why the result is a refusal; null where it is none.</param>
    public async Task<T> RecordAsync<T>(AuditAct act, Func<Task<T>> work, Func<T, string?>? refusal = null)
    {
        act.Begin(this);
        AuditAct.Current = act;
        T result;
        try
        {
            result = await work();
        }
        catch (Exception e)
        {
            act.End();
            await EndAsync(
                act, e is RefusalException || act.Reason is not null ? AuditOutcome.Refused : AuditOutcome.Failed, act.Reason ?? Words(e));
            throw;
        }

        act.End();
        if ((refusal?.Invoke(result) ?? act.Reason) is { } reason)
            await EndAsync(act, AuditOutcome.Refused, reason);
        else if (act.GoesFirst)
            await NoteAsync(act.ToRecord());
        else if (!act.IsWritten)
            await AppendAsync(act.ToRecord(), CancellationToken.None);
        return result;
    }

    /// <summary>
    /// Writes a refusal that anybody can cause: the first of each actor, address and action a minute, and later how many more there were.
    /// Where it cannot be written it is reported, and stays a refusal.
    /// </summary>
    public async Task RefuseAsync(AuditRecord record)
    {
        foreach (var admitted in _refusals.Admit(record, _time.GetUtcNow()))
            await NoteAsync(admitted);
    }

    /// <summary>Writes how many refusals were not written one by one, where their minute is over or all shall be.</summary>
    public async Task FlushRefusalsAsync(bool all)
    {
        foreach (var record in _refusals.Take(_time.GetUtcNow(), all))
            await NoteAsync(record);
    }

    /// <summary>
    /// Writes an entry unless the log has one of the same identity, action, subject and tenant from that time. Where it cannot be written
    /// it is reported.
    /// </summary>
    /// <returns>Whether the log has it now.</returns>
    public async Task<bool> AppendOnceAsync(AuditRecord record, TimeSpan within)
    {
        AuditAct.Current = null;
        try
        {
            await using var connection = await _state.OpenAsync(CancellationToken.None);
            await using var transaction = await connection.BeginWriteAsync(StateScope.Rows, CancellationToken.None);
            await connection.TakeLastAsync(Scope, CancellationToken.None);
            if (await AuditTable.HasAsync(connection, record, _time.GetUtcNow() - within))
                return true;
            await WriteAsync(connection, record, CancellationToken.None);
            await transaction.CommitAsync(CancellationToken.None);
            Works();
            return true;
        }
        catch (Exception e)
        {
            Report(e);
            return false;
        }
    }

    /// <summary>The latest first.</summary>
    public async Task<IReadOnlyList<AuditEntry>> ListAsync(AuditFilter filter, int most, CancellationToken cancellation)
    {
        await using var connection = await _state.OpenAsync(cancellation);
        return await AuditTable.ListAsync(connection, filter, most, cancellation);
    }

    /// <summary>The oldest first, a page at a time.</summary>
    public async IAsyncEnumerable<AuditEntry> ExportAsync(
        AuditFilter filter, [EnumeratorCancellation] CancellationToken cancellation)
    {
        long? last = long.MinValue;
        while (last is { } after)
        {
            IReadOnlyList<AuditEntry> page;
            await using (var connection = await _state.OpenAsync(cancellation))
                (page, last) = await AuditTable.AfterAsync(connection, filter, after, PageSize, cancellation);
            foreach (var entry in page)
                yield return entry;
        }
    }

    /// <summary>Walks the whole chain.</summary>
    /// <param name="known">A head that was printed earlier and kept elsewhere: whether it is still in the chain is checked too.</param>
    public async Task<AuditCheck> VerifyAsync(AuditHead? known, CancellationToken cancellation)
    {
        var walk = new ChainWalk(known);
        while (true)
        {
            await using var connection = await _state.OpenAsync(cancellation);
            // What is appended in between is walked too; the head is of the moment at which nothing more follows.
            await using var picture = await connection.BeginReadAsync(cancellation);
            var rows = await AuditTable.RowsAsync(connection, walk.Last, PageSize, cancellation);
            foreach (var (number, entry) in rows)
                walk.Step(number, entry);
            if (walk.Fault is not null || rows.Count < PageSize)
                return walk.End(await AuditTable.HeadAsync(connection, cancellation));
        }
    }

    internal async Task<AuditEntry> WriteAsync(StateConnection connection, AuditRecord record, CancellationToken cancellation)
    {
        await connection.TakeLastAsync(Scope, cancellation);
        return await AuditTable.AppendAsync(connection, record, _time.GetUtcNow(), cancellation);
    }

    static async Task<Action?> AlongAsync(StateDatabase state, StateConnection connection, CancellationToken cancellation)
    {
        if (AuditAct.Current is not { } act || !act.IsPending(state))
            return null;
        await act.Log!.WriteAsync(connection, act.ToRecord(), cancellation);
        return act.Written;
    }

    internal bool IsOf(StateDatabase state) => _state == state;

    // What is written already stays, and what became of it follows.
    async Task EndAsync(AuditAct act, AuditOutcome outcome, string reason)
    {
        var record = act.ToRecord() with { Outcome = outcome, Reason = reason };
        if (act.IsWritten)
            await NoteAsync(record);
        else
            await RefuseAsync(record);
    }

    void Report(Exception e)
    {
        _health?.Report(
            Component, "append", HealthState.Degraded,
            $"An entry could not be written: {e.Message} Acts are refused until one can be; refusals and reads may be missing.");
        if (!Interlocked.Exchange(ref _isFailing, true))
            _logger?.AuditNotWritten(e.Message);
    }

    void Works()
    {
        if (Interlocked.Exchange(ref _isFailing, false))
            _health?.Clear(Component, "append");
    }

    static string Words(Exception e) => e is OperationCanceledException ? "Whoever asked went away before it was done." : e.Message;
}
