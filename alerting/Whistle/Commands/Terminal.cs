using System.Diagnostics.CodeAnalysis;

using Spectre.Console;

using Whistle.Printing;

namespace Whistle.Commands;

/// <summary>Where verbs write: colours and progress for a person, plain lines for a file or a program.</summary>
static class Terminal
{
    /// <summary>The columns of the terminal; null where the output goes to a file or a program, which take lines of any length.</summary>
    public static int? Width => Console.IsOutputRedirected || Console.WindowWidth is <= 0 ? null : Console.WindowWidth;

    public static IAnsiConsole Out => For(Console.Out, !Console.IsOutputRedirected && !IsDumb);

    /// <summary>For what is not the answer: progress and questions. A pipe reads nothing of it.</summary>
    public static IAnsiConsole Error => For(Console.Error, ShowsProgress);

    public static bool ShowsProgress => !Console.IsErrorRedirected && !IsDumb;

    /// <summary>Whether there is a person to ask.</summary>
    public static bool CanAsk => ShowsProgress && !Console.IsInputRedirected;

    static bool IsDumb => Environment.GetEnvironmentVariable("TERM") is "dumb";

    /// <summary>https://no-color.org: any value but the empty one turns colours off.</summary>
    static bool HasColour => string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));

    /// <summary>No, unless the person says yes.</summary>
    public static Task<bool> ConfirmAsync(string question, CancellationToken cancellation) =>
        Error.ConfirmAsync(Markup.Escape(question), defaultValue: false, cancellation);

    // Every time, as tests exchange the streams. Widths are measured by the tables, so this one breaks no line.
    [SuppressMessage("Performance", "CA1859:Use concrete types when possible", Justification = "Spectre gives out the interface.")]
    static IAnsiConsole For(TextWriter writer, bool isTerminal)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = isTerminal ? AnsiSupport.Yes : AnsiSupport.No,
            // The sixteen that a terminal's theme keeps readable.
            ColorSystem = isTerminal && HasColour ? ColorSystemSupport.Standard : ColorSystemSupport.NoColors,
            Interactive = isTerminal && !Console.IsInputRedirected ? InteractionSupport.Yes : InteractionSupport.No,
            Out = new AnsiConsoleOutput(writer),
            // Where a build server is recognised, they would write colours into its pipe.
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        });
        console.Profile.Width = Math.Max(20, Width ?? 80);
        return console;
    }
}

/// <summary>How far a phase of some work is, each in the same unit. A total of 0 is not known.</summary>
delegate void ProgressReport(string phase, double done, double total);

/// <summary>Progress on stderr, for a person at a terminal; it goes when the work is done.</summary>
static class ProgressBars
{
    public static async Task<T> RunAsync<T>(Func<ProgressReport, Task<T>> work)
    {
        if (!Terminal.ShowsProgress)
            return await work((_, _, _) => { });
        return await Terminal.Error.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(),
                new ElapsedTimeColumn())
            .StartAsync(async context => await work(new Phases(context).Report));
    }

    public static Task RunAsync(Func<ProgressReport, Task> work) => RunAsync(async report =>
    {
        await work(report);
        return 0;
    });

    sealed class Phases(ProgressContext context)
    {
        readonly Lock _gate = new();
        readonly Dictionary<string, ProgressTask> _tasks = [];

        public void Report(string phase, double done, double total)
        {
            lock (_gate)
            {
                if (!_tasks.TryGetValue(phase, out var task))
                    _tasks[phase] = task = context.AddTask(Markup.Escape(Printable.Of(phase)));
                task.IsIndeterminate = total <= 0;
                (task.MaxValue, task.Value) = total > 0 ? (total, Math.Min(done, total)) : (1, 0);
            }
        }
    }
}
