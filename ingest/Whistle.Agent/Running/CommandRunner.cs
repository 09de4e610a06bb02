using Microsoft.Extensions.Logging;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;
using Whistle.Agent.Sending;
using Whistle.Agent.Settings;

namespace Whistle.Agent.Running;

/// <summary>
/// Leases commands and runs them one at a time: permit, intent on disk, action, result on disk, report. A command whose id was seen before
/// is never executed again, and one whose intent has no result is reported as indeterminate. Not thread-safe.
/// </summary>
sealed class CommandRunner(AgentOptions options, ILogger log, IReadOnlyList<INodeAction>? actions = null) : IDisposable
{
    // A server without this part of the protocol may get it by an upgrade.
    static readonly TimeSpan WaitForUpgrade = TimeSpan.FromMinutes(5);
    // A body has at most 1 MiB, and a summary in it a few hundred characters.
    const int EntriesAtATime = 500;

    static readonly TimeSpan LongestTime = TimeSpan.FromHours(6);

    // Something to breathe where a server answers a long poll with nothing at once.
    static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    readonly CommandClient _client = new(options);
    readonly IReadOnlyList<INodeAction> _actions = actions ?? NodeActions.All;
    CommandJournal? _journal;

    /// <summary>Runs until it is cancelled, which ends it with an exception.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        var backoff = new Backoff(options.Seed, options.LongestWait);
        while (true)
        {
            var wait = Pause;
            if (await TryOnceAsync(cancellation).ConfigureAwait(false) is { } retry)
            {
                wait = backoff.Next(retry.After);
                log.CommandsWait(wait.TotalSeconds, retry.Reason);
            }
            else
            {
                backoff.Reset();
            }

            await Task.Delay(wait, options.Time, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Null where all went its way; otherwise when and why to try again.</summary>
    public async Task<SendOutcome.Retryable?> LeaseAndRunOnceAsync(CancellationToken cancellation)
    {
        var journal = Journal();
        if (await ReportAllAsync(journal, cancellation).ConfigureAwait(false) is { } unreported)
            return unreported;
        journal.Forget();
        journal.Reserve();
        var (outcome, commands, asked) = await _client.LeaseAsync(cancellation).ConfigureAwait(false);
        if (outcome is SendOutcome.Retryable retry)
            return retry;
        if (outcome is SendOutcome.Final final)
            return new SendOutcome.Retryable(final.Reason, WaitForUpgrade);
        if (asked is not null)
            return await ReportJournalAsync(journal, asked, cancellation).ConfigureAwait(false);
        foreach (var command in commands)
        {
            await AnswerAsync(journal, command, cancellation).ConfigureAwait(false);
            // If the lease ends before that, its token gets no permit.
            if (await ReportAllAsync(journal, cancellation).ConfigureAwait(false) is { } waits)
                return waits;
        }

        return null;
    }

    public void Dispose() => _client.Dispose();

    // Whatever goes wrong, the loop has to go on.
    async Task<SendOutcome.Retryable?> TryOnceAsync(CancellationToken cancellation)
    {
        try
        {
            return await LeaseAndRunOnceAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellation.IsCancellationRequested)
        {
            return new SendOutcome.Retryable($"{e.GetType().Name}: {e.Message}");
        }
    }

    // An agent that cannot read what it did must not do anything: the exception goes to the caller, who tries again later.
    CommandJournal Journal()
    {
        if (_journal is not null)
            return _journal;
        var journal = new CommandJournal(Path.Join(options.Buffer.Folder, "commands"), options.Time, log);
        foreach (var intent in journal.Intents)
            journal.Write(intent with { State = RecordState.Result, Result = Unknown(intent.Result?.Token ?? 0), Began = true });
        return _journal = journal;
    }

    static CommandResult Unknown(long token) =>
        new(
            token, CommandOutcome.Indeterminate,
            "The agent stopped while it ran this command, so its outcome is unknown. It will not run it again.", null);

    async Task<SendOutcome.Retryable?> ReportAllAsync(CommandJournal journal, CancellationToken cancellation)
    {
        foreach (var record in journal.Unreported)
        {
            var outcome = await _client.ReportAsync(record.Id, record.Result!, cancellation).ConfigureAwait(false);
            if (outcome is SendOutcome.Retryable retry)
                return retry;
            if (outcome is SendOutcome.Final final)
                log.ResultRefused(record.Id, final.Reason);
            options.At?.Invoke(RunnerStep.AfterReport, record.Id);
            journal.Write(record with { State = RecordState.Reported, Result = record.Result! with { Output = null } });
            options.At?.Invoke(RunnerStep.AfterForgetting, record.Id);
        }

        return null;
    }

    // Nothing runs while it is read, so it is everything that was ever done here, as far as the journal goes back.
    async Task<SendOutcome.Retryable?> ReportJournalAsync(CommandJournal journal, string generation, CancellationToken cancellation)
    {
        var parts = journal.Entries.Chunk(EntriesAtATime).DefaultIfEmpty([]).ToList();
        for (var i = 0; i < parts.Count; i++)
        {
            var outcome = await _client.ReportJournalAsync(
                new(generation, journal.KnownSince, parts[i], More: i < parts.Count - 1), cancellation).ConfigureAwait(false);
            if (outcome is SendOutcome.Retryable retry)
                return retry;
            if (outcome is SendOutcome.Final final)
                return new SendOutcome.Retryable(final.Reason);
        }

        log.JournalReported(generation, parts.Sum(p => p.Length));
        return null;
    }

    async Task AnswerAsync(CommandJournal journal, LeasedCommand command, CancellationToken cancellation)
    {
        CommandResult result;
        if (journal.Knows(command.Id, out var seen))
            result = (seen?.Result is { } known && seen.Action == command.Action ? known : Unknown(command.Token)) with
            {
                Token = command.Token,
            };
        else
            result = await ExecuteAsync(journal, command, cancellation).ConfigureAwait(false);
        // An intent, if one was written, or the result that was reported before.
        _ = journal.Knows(command.Id, out var written);
        options.At?.Invoke(RunnerStep.AfterAction, command.Id);
        journal.Write(RecordOf(command, RecordState.Result, result) with { Began = seen is null ? written is not null : seen.Began });
        log.CommandEnded(command.Id, command.Action, result.Outcome, result.Summary);
        options.At?.Invoke(RunnerStep.AfterResult, command.Id);
    }

    async Task<CommandResult> ExecuteAsync(CommandJournal journal, LeasedCommand command, CancellationToken cancellation)
    {
        if (_actions.FirstOrDefault(a => a.Descriptor.Name == command.Action) is not { } action)
            return new CommandResult(
                command.Token, CommandOutcome.Refused,
                $"This agent ({AgentOptions.Version}) has no action {command.Action}. Upgrade it, or correct the name.", null);
        var guard = action.Descriptor.Mutates && !command.DryRun ? Guard(journal, command) : MutationGuard.Closed(options.Time);
        var seconds = Math.Clamp(command.TimeoutSeconds, 1, (int)LongestTime.TotalSeconds);
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(seconds), options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, limit.Token);
        try
        {
            var report = await action.RunAsync(
                command.Parameters, Context(options, command.DryRun, guard), either.Token).ConfigureAwait(false);
            return new CommandResult(command.Token, report.Outcome, report.Summary, report.Output);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellation.IsCancellationRequested)
        {
            return new CommandResult(command.Token, Failure(guard), $"It did not finish within {seconds} s.", null);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            return new CommandResult(command.Token, Failure(guard), $"{command.Action} failed: {e.GetType().Name}: {e.Message}", null);
        }
    }

    // Before the intent nothing can have been changed.
    static CommandOutcome Failure(MutationGuard guard) => guard.Begun ? CommandOutcome.Indeterminate : CommandOutcome.Failed;

    MutationGuard Guard(CommandJournal journal, LeasedCommand command) => new(
        options.Time,
        token => _client.BeginAsync(command, token),
        _ => ValueTask.FromResult(WriteIntent(journal, command)));

    string? WriteIntent(CommandJournal journal, LeasedCommand command)
    {
        options.At?.Invoke(RunnerStep.BeforeIntent, command.Id);
        if (journal.Write(RecordOf(command, RecordState.Intent, Unknown(command.Token)) with { Began = true }) is { } error)
            return $"The intent could not be written to disk, so nothing was changed: {error}";
        options.At?.Invoke(RunnerStep.AfterIntent, command.Id);
        return null;
    }

    static CommandRecord RecordOf(LeasedCommand command, RecordState state, CommandResult result) =>
        new(command.Id, command.Action, state, At: 0, result) { Step = command.Step, Undo = command.Undo };

    internal static ActionContext Context(AgentOptions options, bool dryRun, MutationGuard guard) => new()
    {
        DryRun = dryRun,
        Guard = guard,
        Time = options.Time,
        PolicyFile = options.PolicyFile,
        ProcPath = options.ProcPath,
        SysPath = options.SysPath,
        ProtectedFolders = options.Protected,
    };
}
