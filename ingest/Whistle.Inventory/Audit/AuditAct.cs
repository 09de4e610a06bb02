using Whistle.Inventory.Access;
using Whistle.State;

namespace Whistle.Inventory.Audit;

/// <summary>Ends an act that is not allowed: it is refused, and did not fail.</summary>
public abstract class RefusalException(string message) : Exception(message);

/// <summary>
/// Something that somebody asks the server to do, for as long as it is at it (<see cref="AuditLog.RecordAsync{T}"/>). Its entry says done
/// as soon as the act has changed anything; what else becomes of it is an entry of its own then.
/// </summary>
public sealed class AuditAct(AuditActor actor, string action)
{
    static readonly AsyncLocal<AuditAct?> Flow = new();

    volatile bool _isOver;
    volatile bool _isWritten;

    /// <summary>What goes on in this flow of control; null where nobody acts.</summary>
    public static AuditAct? Current
    {
        get => Flow.Value is { _isOver: false } act ? act : null;
        internal set => Flow.Value = value;
    }

    /// <summary>Does what is no part of the act that goes on, such as noting that somebody was seen: it takes no entry along.</summary>
    public static async Task AsideAsync(Func<Task> work)
    {
        Current = null;
        await work();
    }

    /// <summary>Writes the entry of what goes on here; see <see cref="WriteAsync"/>.</summary>
    public static Task WriteCurrentAsync(CancellationToken cancellation) => Current?.WriteAsync(cancellation) ?? Task.CompletedTask;

    /// <summary>What goes on here is done whether or not its entry can be written: a stop of all repairs waits for nothing.</summary>
    public static void CurrentGoesFirst() => Current?.GoesFirst = true;

    /// <summary>May be set until the entry is written, as that of somebody who logs in.</summary>
    public AuditActor Actor { get; set; } = actor;

    public string Action => action;

    /// <summary>Asked for when the entry is written.</summary>
    public Func<AccessScope> Scope { get; set; } = () => AccessScope.All;

    public string Subject { get; set; } = "";

    /// <summary>A JSON object without secrets.</summary>
    public string Details { get; set; } = "";

    /// <summary>It is done whether or not its entry can be written, which follows it.</summary>
    internal bool GoesFirst { get; private set; }

    internal AuditLog? Log { get; private set; }

    /// <summary>Its entry says that it was done: the act has changed something.</summary>
    public bool IsWritten => _isWritten;

    /// <summary>Why it is refused; null where it is not.</summary>
    internal string? Reason { get; private set; }

    /// <summary>It is not done: what is committed from here on, such as a count of wrong passwords, is not the act.</summary>
    public void Refuse(string reason) => Reason = reason;

    /// <summary>Writes the entry now: for what changes something that no commit of the state can carry it with.</summary>
    public async Task WriteAsync(CancellationToken cancellation)
    {
        if (_isWritten || Reason is not null)
            return;
        await (Log ?? throw new InvalidOperationException("The act has not begun.")).AppendAsync(ToRecord(), cancellation);
        Written();
    }

    internal void Begin(AuditLog log) => Log = log;

    internal void End() => _isOver = true;

    internal void Written() => _isWritten = true;

    /// <summary>Whether a commit of that state takes the entry along.</summary>
    internal bool IsPending(StateDatabase state) => !_isWritten && !GoesFirst && Reason is null && Log?.IsOf(state) is true;

    internal AuditRecord ToRecord() => new(Actor, Action, Scope(), Subject, Details);
}
