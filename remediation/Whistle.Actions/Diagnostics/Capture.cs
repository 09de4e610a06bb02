using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Programs;
using Whistle.Actions.Protocol;
using Whistle.Actions.Secrets;

namespace Whistle.Actions.Diagnostics;

/// <param name="Cut">It was longer than there is room for: of the journal the newest was kept, of the others the first.</param>
/// <param name="Missing">Why it is not there, or not whole.</param>
sealed record CapturedPart(string Name, string Text, bool Cut, string? Missing);

/// <param name="Redacted">So many places that looked like secrets were taken out.</param>
sealed record CaptureReport(DateTimeOffset Since, DateTimeOffset Now, int Redacted, IReadOnlyList<CapturedPart> Parts);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CaptureReport))]
sealed partial class CaptureJson : JsonSerializerContext;

/// <summary>
/// The state of the node before a repair destroys it. It writes nothing here, and no secret that it knows for one leaves.
/// </summary>
sealed class Capture : INodeAction
{
    /// <summary>All parts together, as JSON.</summary>
    public const int Largest = 256 << 10;

    const int MostLines = 5000;
    static readonly TimeSpan Window = TimeSpan.FromMinutes(15);

    static readonly ActionParameter Unit = new("unit", ParameterKind.Text, "The journal of this unit only.")
    {
        WithoutIt = "all",
        Example = "\"kubelet.service\"",
        Form = Names.IsUnit,
        FormWords = "the name of a unit with its ending, like kubelet.service",
    };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "diagnostics.capture",
        Summary = "Reads the last journal, the processes, disks, network and load, without secrets.",
        Reads = "the journal and `/proc`",
        Parameters = [Unit],
        PolicyKeys = ["diagnostics"],
        Report = CaptureJson.Default.CaptureReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new Capture());

    public string Allowance(NodePolicy? policy) => policy?.Diagnostics is not { } rule ? "always allowed, because it changes nothing"
        : rule.Nothing ? "refused: the node's policy forbids all of it"
        : $"{(Forbidden(rule).Any() ? $"all but {string.Join(", ", Forbidden(rule))}" : "all parts")}"
            + $"{(rule.JournalUnits is { } units ? $"; the journal of {string.Join(", ", units)} only" : "")}";

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => CaptureAsync(asked.Text(Unit), context, cancellation), cancellation);

    static Task<ActionReport> CaptureAsync(string? asked, ActionContext context, CancellationToken cancellation)
    {
        if (NodePolicy.ReadDiagnostics(context.PolicyFile, context.ProtectedFolders, out var refusal) is not { } allowed)
            return Task.FromResult(ActionReport.Refuse(refusal!));
        if (allowed.Journal && asked is { } unit && allowed.JournalUnits?.Contains(unit) == false)
            return Task.FromResult(ActionReport.Refuse(
                $"The node's policy {context.PolicyFile} does not name {unit} in its journalUnits, so its journal is not captured."));
        return CaptureAsync(asked, allowed, context, cancellation);
    }

    static async Task<ActionReport> CaptureAsync(
        string? asked, DiagnosticsRule allowed, ActionContext context, CancellationToken cancellation)
    {
        var now = context.Time.GetUtcNow();
        // The quick ones first, so that they are there when the time is over.
        var parts = new List<CapturedPart>();
        Add(allowed.Load, "load", 8 << 10, () => (LoadPart.Read(context.ProcPath), null));
        Add(allowed.Processes, "processes", 44 << 10, () => (ProcessPart.Read(context.ProcPath, cancellation), null));
        Add(allowed.Network, "network", 32 << 10, () => (NetworkPart.Read(context.ProcPath), null));
        Add(allowed.Disk, "disk", 24 << 10, () => (DiskPart.Read(context.ProcPath, cancellation), null));
        IReadOnlyList<string> units = asked is { } one ? [one] : allowed.JournalUnits ?? [];
        var (journal, cut, missing) = allowed.Journal
            ? await JournalAsync(units, now - Window, context, cancellation).ConfigureAwait(false)
            : ("", false, null);
        Add(allowed.Journal, "journal", 140 << 10, () => (journal, missing), cut, keepEnd: true);
        var redacted = parts.Sum(p => p.Text.AsSpan().Count(Redaction.Gone));
        var report = new CaptureReport(now - Window, now, redacted, parts);
        var size = parts.Sum(p => (long)p.Text.Length);
        var told = string.Concat(
            Summary("cut", parts.Where(p => p.Cut)), Summary("not there or not whole", parts.Where(p => p.Missing is not null)),
            redacted > 0 ? $" {redacted} places were taken out as secrets." : "");
        return NodeWork.Report(
            CommandOutcome.Succeeded, $"Captured {Bytes.Text(size)} in {parts.Count} parts.{told}", report,
            CaptureJson.Default.CaptureReport);

        void Add(
            bool isAllowed, string name, int most, Func<(string Text, string? Missing)> read, bool wasCut = false, bool keepEnd = false)
        {
            var (raw, why) = isAllowed ? Try(read) : ("", "The node's policy does not let it be captured.");
            var text = Redaction.Redact(raw, out _);
            var kept = Fit(text, most, keepEnd);
            parts.Add(new CapturedPart(name, kept, wasCut || kept.Length < text.Length, why));
        }
    }

    static IEnumerable<string> Forbidden(DiagnosticsRule rule) =>
        new[]
        {
            ("load", rule.Load), ("processes", rule.Processes), ("network", rule.Network), ("disk", rule.Disk),
            ("journal", rule.Journal),
        }.Where(p => !p.Item2).Select(p => p.Item1);

    static string Summary(string what, IEnumerable<CapturedPart> parts) =>
        string.Join(", ", parts.Select(p => p.Name)) is { Length: > 0 } names
            ? $" {char.ToUpperInvariant(what[0])}{what[1..]}: {names}." : "";

    static (string Text, string? Missing) Try(Func<(string Text, string? Missing)> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return ("", e.Message);
        }
    }

    static async Task<(string Text, bool Cut, string? Missing)> JournalAsync(
        IReadOnlyList<string> units, DateTimeOffset since, ActionContext context, CancellationToken cancellation)
    {
        List<string> arguments =
            ["-o", "short-iso", $"--since=@{since.ToUnixTimeSeconds()}", "--no-pager", "--quiet", $"--lines={MostLines}"];
        arguments.AddRange(units.Select(unit => $"--unit={unit}"));
        var ended = await NodeProgram.RunAsync(
            context, "journalctl", arguments, cancellation, Largest, keepEnd: true).ConfigureAwait(false);
        // The first line may be torn, and a torn secret would not be known for one.
        var text = ended.Cut ? ended.Output[(ended.Output.IndexOf('\n') + 1)..] : ended.Output;
        var missing = !ended.Well
            ? ended.Complaint("journalctl")
            : text.Length == 0 ? $"The journal has nothing of the last {Window.TotalMinutes:0} minutes."
            : null;
        return (text, ended.Cut || text.Count(c => c == '\n') >= MostLines, missing);
    }

    /// <summary>Whole lines, of which the JSON is no longer than this.</summary>
    internal static string Fit(string text, int most, bool keepEnd)
    {
        text = Whole(text);
        while (JsonEncodedText.Encode(text).EncodedUtf8Bytes.Length is var length && length > most)
        {
            var keep = (int)(text.Length * (long)most / length * 98 / 100);
            var at = keepEnd ? text.IndexOf('\n', text.Length - keep) + 1 : text.LastIndexOf('\n', keep) + 1;
            // A line longer than all that is wanted is cut within.
            if (at <= 0)
                at = keepEnd ? text.Length - keep : keep;
            text = Whole(keepEnd ? text[at..] : text[..at]);
        }

        return text;
    }

    // Half a character cannot be written.
    static string Whole(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
}
