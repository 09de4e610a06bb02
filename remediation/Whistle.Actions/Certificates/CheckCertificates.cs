using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Certificates;

/// <param name="Expiring">So many end within what was asked for, or have ended; null where the clock does not let that be said.</param>
/// <param name="Certificates">Those that end first, first.</param>
/// <param name="Unreadable">Why files that were named could not be read.</param>
sealed record CheckReport(
    bool ClockSynchronised, DateTimeOffset Now, int Files, int? Expiring, IReadOnlyList<FoundCertificate> Certificates,
    IReadOnlyList<string> Unreadable);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CheckReport))]
sealed partial class CheckJson : JsonSerializerContext;

/// <summary>When certificates end. By a clock that may be wrong it concludes nothing.</summary>
sealed class CheckCertificates : INodeAction
{
    const int MostFiles = 500;
    const int MostListed = 200;
    const int Deepest = 4;
    const int MostUnreadable = 20;

    static readonly ActionParameter Within =
        new("within", ParameterKind.Age, "What ends within this is counted as expiring.") { Default = "30d" };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "certificates.check",
        Summary = "Lists when the node's certificates end.",
        Reads = "certificates and kubeconfig files",
        Parameters = [Within],
        PolicyKeys = ["certificates"],
        Report = CheckJson.Default.CheckReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new CheckCertificates());

    public string Allowance(NodePolicy? policy) => policy is { Certificates.Count: > 0 }
        ? string.Join("; ", policy.Certificates.Select(r => r.Path))
        : "kubeadm's own certificates, because it changes nothing";

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => Task.FromResult(Check(asked, context, cancellation)), cancellation);

    static ActionReport Check(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (Files(context, out var refusal) is not { } files)
            return ActionReport.Refuse(refusal!);
        var (synchronised, now) = (context.ReadClock().Synchronised, context.Time.GetUtcNow());
        var (found, unreadable, read) = (new List<FoundCertificate>(), new List<string>(), 0);
        foreach (var (path, named) in files.Take(MostFiles))
        {
            if (cancellation.IsCancellationRequested)
                return new ActionReport(CommandOutcome.Failed, $"{ActionReport.OutOfTime} {read} files were looked at.");
            var certificates = PemFile.Read(path, out var why);
            found.AddRange(certificates);
            read++;
            // Of a folder each file is looked at, and some have nothing to do with certificates.
            if (why is not null && named && unreadable.Count < MostUnreadable)
                unreadable.Add(why);
        }

        if (found.Count == 0)
        {
            var none = $"There is no certificate to check in {Where(context)}. Name files in certificates of the node's policy.";
            return ActionReport.Refuse($"{none} {string.Join(" ", unreadable)}".TrimEnd());
        }

        var expiring = found.Count(c => c.NotAfter <= now + asked.Age(Within)!.Value);
        var first = found.MinBy(c => c.NotAfter)!;
        var listed = found.OrderBy(c => c.NotAfter).Take(MostListed)
            .Select(c => synchronised ? c with { DaysLeft = Math.Round((c.NotAfter - now).TotalDays, 1) } : c).ToList();
        var report = new CheckReport(synchronised, now, read, synchronised ? expiring : null, listed, unreadable);
        // A certificate from the future is a clock from the past.
        var future = found.FirstOrDefault(c => c.NotBefore > now);
        var counted = $"{expiring} of {found.Count} certificates end within {asked.Text(Within)}";
        return (synchronised, future) switch
        {
            (false, _) => Answer(CommandOutcome.Refused, ClockReading.HowToFix, report),
            (_, not null) => Answer(
                CommandOutcome.Refused, $"{future.Path} begins on {future.NotBefore:u}, which is in the future: "
                    + $"this node's clock ({now:u}) or the one that signed it is wrong.",
                report with { Expiring = null }),
            _ => Answer(
                CommandOutcome.Succeeded,
                $"{counted}; the first is {first.Path} on {first.NotAfter:u}.", report),
        };
    }

    static ActionReport Answer(CommandOutcome outcome, string summary, CheckReport report) =>
        NodeWork.Report(outcome, summary, report, CheckJson.Default.CheckReport);

    static string Where(ActionContext context) => Path.Join(context.KubernetesFolder, "pki");

    /// <summary>Null where the policy has a mistake; without any policy it is kubeadm's own files.</summary>
    static IEnumerable<(string Path, bool Named)>? Files(ActionContext context, out string? refusal)
    {
        refusal = null;
        var policy = context.PolicyFile is { } file && File.Exists(file) ? context.Policy(out refusal) : new NodePolicy();
        if (policy is null)
            return null;
        if (policy.Certificates.Count > 0)
            return policy.Certificates.SelectMany(r => Directory.Exists(r.Path)
                ? Folder(r.Path, "*.crt").Concat(Folder(r.Path, "*.pem")).Select(p => (p, false))
                : [(r.Path, true)]);
        var own = KubeadmFiles.Names.Where(n => n.EndsWith(".conf", StringComparison.Ordinal))
            .Select(n => Path.Join(context.KubernetesFolder, n)).Where(File.Exists);
        return Folder(Where(context), "*.crt").Concat(own).Select(p => (p, false));
    }

    static IEnumerable<string> Folder(string path, string pattern) => !Directory.Exists(path) ? [] : Directory.EnumerateFiles(
        path, pattern, new EnumerationOptions
        {
            RecurseSubdirectories = true,
            MaxRecursionDepth = Deepest,
            IgnoreInaccessible = true,
            AttributesToSkip = 0,
        });
}
