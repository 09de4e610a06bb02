using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Programs;
using Whistle.Actions.Protocol;

namespace Whistle.Actions.Certificates;

/// <param name="After">Null in a dry run, and where it was not renewed.</param>
sealed record RenewedCertificate(string Name, DateTimeOffset Before, DateTimeOffset? After);

sealed record RenewReport
{
    public required bool DryRun { get; init; }

    public List<RenewedCertificate> Renewed { get; } = [];

    /// <summary>Those that end later than asked for.</summary>
    public List<string> NotDue { get; } = [];

    /// <summary>Those of the policy that this node does not have.</summary>
    public List<string> Missing { get; } = [];

    /// <summary>Where the old files are; null where none were copied.</summary>
    public string? Backup { get; set; }

    /// <summary>Why it ended early.</summary>
    public string? Stopped { get; set; }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RenewReport))]
sealed partial class RenewJson : JsonSerializerContext;

/// <summary>
/// Renews kubeadm's certificates that end soon, one by one, and keeps the old files. Who uses them must be restarted afterwards.
/// </summary>
sealed class RenewCertificates : INodeAction
{
    static readonly ActionParameter Within =
        new("within", ParameterKind.Age, "Only what ends within this is renewed.") { Required = true, Example = "\"30d\"" };

    static readonly ActionParameter Only =
        new("names", ParameterKind.Texts, "Only these of the policy's; another one is refused.") { WithoutIt = "all" };

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "certificates.renew",
        Summary = "Renews kubeadm's certificates that end soon, and keeps the old ones.",
        Reads = "kubeadm's certificates, and the clock's state",
        Changes = "these certificates and their keys",
        DryRun = "lists what is due",
        Parameters = [Within, Only],
        PolicyKeys = ["renewCertificates"],
        Report = RenewJson.Default.RenewReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new RenewCertificates());

    public string Allowance(NodePolicy? policy) => policy?.RenewCertificates is not { } rule
        ? "refused: the node's policy has no renewCertificates"
        : $"{string.Join(' ', rule.Names)}, with the old ones kept in {rule.BackupFolder}";

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => RenewAsync(asked, context, cancellation), cancellation);

    static async Task<ActionReport> RenewAsync(Arguments asked, ActionContext context, CancellationToken cancellation)
    {
        if (Rule(asked, context, out var refusal) is not { } rule)
            return ActionReport.Refuse(refusal!);
        if (!context.ReadClock().Synchronised)
            return ActionReport.Refuse(ClockReading.HowToFix);
        var run = new RenewRun(rule, context);
        foreach (var name in asked.Texts(Only) ?? rule.Names)
        {
            if (!await run.RenewAsync(name, asked.Age(Within)!.Value, cancellation).ConfigureAwait(false))
                break;
        }

        return run.Answer();
    }

    static RenewRule? Rule(Arguments asked, ActionContext context, out string? refusal)
    {
        var policy = context.Policy(out refusal);
        if (policy is { RenewCertificates: null })
            refusal = $"The node's policy {context.PolicyFile} has no renewCertificates, so no certificate may be renewed.";
        if (policy?.RenewCertificates is { } rule && asked.Texts(Only)?.FirstOrDefault(n => !rule.Names.Contains(n)) is { } foreign)
            refusal = $"The node's policy {context.PolicyFile} does not name {foreign} in its renewCertificates, so it may not be renewed.";
        return refusal is null ? policy!.RenewCertificates : null;
    }
}

/// <summary>One certificate after the other; the first that goes wrong ends it, so that never more than one is in doubt.</summary>
sealed class RenewRun(RenewRule rule, ActionContext context)
{
    const UnixFileMode ReadAndWrite = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    readonly RenewReport _report = new() { DryRun = context.DryRun };
    readonly DateTimeOffset _now = context.Time.GetUtcNow();
    bool _inDoubt;

    /// <summary>False where the run must end here.</summary>
    public async Task<bool> RenewAsync(string name, TimeSpan within, CancellationToken cancellation)
    {
        var path = Full(KubeadmFiles.Of(name)[0]);
        if (!File.Exists(path))
            return Pass(_report.Missing, name);
        if (Read(path, out var refusal) is not { } before)
            return Stop(refusal!);
        if (before.NotBefore > _now)
            return Stop($"{path} begins on {before.NotBefore:u}, which is in the future: "
                + $"this node's clock ({_now:u}) or the one that signed it is wrong.");
        if (before.NotAfter > _now + within)
            return Pass(_report.NotDue, name);
        if (context.DryRun)
        {
            _report.Renewed.Add(new RenewedCertificate(name, before.NotAfter, null));
            return true;
        }

        // Once before the copy and once before the renewal: a copy may take longer than a permit lasts.
        if (await WhyNotAsync(cancellation).ConfigureAwait(false) is { } why || (why = Copy(name)) is not null)
            return Stop(why);
        if ((why = await WhyNotAsync(cancellation).ConfigureAwait(false)) is not null)
            return Stop(why);
        var ended = await NodeProgram.RunAsync(
            context, rule.Command[0], [.. rule.Command.Skip(1), name], cancellation).ConfigureAwait(false);
        return Verify(name, path, before, ended);
    }

    public ActionReport Answer()
    {
        var done = _report.Renewed.Count;
        var outcome = _report.Stopped is null
            ? CommandOutcome.Succeeded
            : _inDoubt ? CommandOutcome.Indeterminate
            : NodeWork.Stopped(done > 0 || _report.Backup is not null);
        var missing = _report.Missing.Count > 0 ? $" {string.Join(", ", _report.Missing)} are not on this node." : "";
        var restart = done > 0 && !context.DryRun ? " Restart who uses them, one at a time." : "";
        var summary =
            $"{(context.DryRun ? "Would renew" : "Renewed")} {done} certificates; {_report.NotDue.Count} are not due.{missing}{restart}";
        return NodeWork.Report(
            outcome, _report.Stopped is { } stopped ? $"Stopped: {stopped} {summary}" : summary, _report, RenewJson.Default.RenewReport);
    }

    bool Verify(string name, string path, FoundCertificate before, Ended ended)
    {
        var after = Read(path, out var refusal);
        if (after is not null && after.NotAfter > before.NotAfter)
            _report.Renewed.Add(new RenewedCertificate(name, before.NotAfter, after.NotAfter));
        _inDoubt = ended.Killed;
        if (!ended.Well)
            return Stop($"{name} was not renewed as it should: {ended.Complaint(rule.Command[0])} The old files are in {_report.Backup}.");
        if (after is null)
            return Stop($"After its renewal {name} cannot be read: {refusal} The old files are in {_report.Backup}.");
        return after.NotAfter > before.NotAfter
            || Stop($"{rule.Command[0]} said that it renewed {name}, but it still ends on {after.NotAfter:u}. "
                + $"The old files are in {_report.Backup}.");
    }

    ValueTask<string?> WhyNotAsync(CancellationToken cancellation) =>
        context.WhyNotAsync(p => rule.SameAs(p.RenewCertificates), cancellation);

    static FoundCertificate? Read(string path, out string? refusal) => PemFile.Read(path, out refusal) is [var first, ..] ? first : null;

    string Full(string file) => Path.Join(context.KubernetesFolder, file);

    /// <summary>Null, or why there is no copy. Copies are root's alone, because there are keys among them.</summary>
    string? Copy(string name)
    {
        if (OperatingSystem.IsWindows())
            throw new PlatformNotSupportedException("kubeadm's certificates are renewed on Linux only.");
        try
        {
            var folder = Path.Join(rule.BackupFolder, _now.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture));
            // Each by itself: the mode is that of the last folder of a path only.
            Directory.CreateDirectory(folder, ReadAndWrite | UnixFileMode.UserExecute);
            foreach (var file in KubeadmFiles.Of(name).Where(f => File.Exists(Full(f))))
            {
                var copy = Path.Join(folder, file);
                Directory.CreateDirectory(Path.GetDirectoryName(copy)!, ReadAndWrite | UnixFileMode.UserExecute);
                using var from = File.OpenRead(Full(file));
                using var to = new FileStream(
                    copy, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = ReadAndWrite });
                from.CopyTo(to);
                to.Flush(flushToDisk: true);
            }

            _report.Backup = folder;
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"The old files of {name} could not be copied, so it is not renewed: {e.Message}";
        }
    }

    static bool Pass(List<string> list, string name)
    {
        list.Add(name);
        return true;
    }

    bool Stop(string why)
    {
        _report.Stopped = why;
        return false;
    }
}
