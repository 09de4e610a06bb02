using System.Globalization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Programs;

namespace Whistle.Actions.Units;

/// <summary>A unit as <c>systemctl show</c> tells of it.</summary>
/// <param name="LoadState">loaded, not-found, masked, bad-setting or error.</param>
/// <param name="ActiveState">active, reloading, inactive, failed, activating or deactivating.</param>
/// <param name="MainProcess">0 where there is none.</param>
sealed record SystemUnit(string Id, string LoadState, string ActiveState, string SubState, int MainProcess)
{
    const string Properties = "--property=Id,LoadState,ActiveState,SubState,MainPID";

    // Both a start that succeeded and one that failed; systemd's sd-messages.h.
    const string StartDone = "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf";
    const string StartFailed = "MESSAGE_ID=be02cf6855d2428ba40df7e9d022f03d";

    // More makes no difference to anybody.
    const int MostCounted = 200;

    /// <summary>The parameter of an action on one service.</summary>
    public static readonly ActionParameter Parameter =
        new("unit", ParameterKind.Text, "A service as the policy names it: `kubelet.service`.")
        {
            Required = true,
            Example = "\"kubelet.service\"",
            Form = Names.IsService,
            FormWords = "the name of a service with its ending, like kubelet.service",
        };

    /// <summary>Null, with the reason, where the node's policy lets no action touch the service.</summary>
    public static UnitRule? RuleOf(ActionContext context, string unit, out string? refusal)
    {
        var policy = context.Policy(out refusal);
        var rule = policy?.RestartUnits.FirstOrDefault(r => r.Unit == unit);
        if (policy is not null && rule is null)
            refusal = $"The node's policy {context.PolicyFile} does not name {unit} in its restartUnits, so it is left alone.";
        return rule;
    }

    public bool IsActive => ActiveState == "active";

    public string State => $"{ActiveState} ({SubState})";

    /// <summary>Null, with the reason, where systemd does not answer.</summary>
    public static async Task<(SystemUnit? Unit, string? Failure)> ShowAsync(
        ActionContext context, string unit, CancellationToken cancellation)
    {
        var (units, failure) = await ShowAsync(context, [unit], cancellation).ConfigureAwait(false);
        return (units.Count > 0 ? units[0] : null, failure ?? (units.Count > 0 ? null : $"systemctl said nothing about {unit}."));
    }

    /// <summary>Those that are not there too, as not-found.</summary>
    public static async Task<(IReadOnlyList<SystemUnit> Units, string? Failure)> ShowAsync(
        ActionContext context, IReadOnlyList<string> units, CancellationToken cancellation)
    {
        var ended = await NodeProgram.RunAsync(
            context, "systemctl", ["show", "--no-pager", Properties, "--", .. units], cancellation).ConfigureAwait(false);
        return ended.Well ? (Parse(ended.Output), null) : ([], ended.Complaint("systemctl"));
    }

    /// <summary>
    /// How often it was started since then, or null with the reason. Counted in the journal by the ids that systemd gives the end of a
    /// start job, which are the same in all languages and versions: its own counter (NRestarts) goes back to 0 and knows no time, and an
    /// agent sees only its own.
    /// </summary>
    public static async Task<(int? Starts, string? Failure)> StartsSinceAsync(
        ActionContext context, string unit, DateTimeOffset since, CancellationToken cancellation)
    {
        var ended = await NodeProgram.RunAsync(
            context, "journalctl",
            [
                "--no-pager", "--quiet", "--output=json", "--output-fields=MESSAGE_ID", $"--lines={MostCounted}",
                $"--since=@{since.ToUnixTimeSeconds()}", "_PID=1", $"UNIT={unit}", StartDone, StartFailed,
            ],
            cancellation).ConfigureAwait(false);
        if (!ended.Well)
            return (null, $"How often {unit} was started lately is not known, so it is not restarted: {ended.Complaint("journalctl")}");
        var starts = Entries(ended);
        if (starts == 0 && !await HasJournalAsync(context, cancellation).ConfigureAwait(false))
            return (
                null, $"This node keeps no journal to count the starts of {unit} in, so it is not restarted. Fix systemd-journald first.");
        return (starts, null);
    }

    // An empty journal says 0 as well, and means that nobody knows.
    static async Task<bool> HasJournalAsync(ActionContext context, CancellationToken cancellation)
    {
        var ended = await NodeProgram.RunAsync(
            context, "journalctl", ["--no-pager", "--quiet", "--output=json", "--output-fields=MESSAGE_ID", "--lines=1"],
            cancellation).ConfigureAwait(false);
        return ended.Well && Entries(ended) > 0;
    }

    static int Entries(Ended journalctl) => journalctl.Output.Split('\n').Count(l => l.StartsWith('{'));

    // Key=value lines, and an empty line between two units.
    static List<SystemUnit> Parse(string text)
    {
        var units = new List<SystemUnit>();
        foreach (var block in text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var values = block.Split('\n').Select(l => l.Split('=', 2)).Where(p => p.Length == 2).DistinctBy(p => p[0])
                .ToDictionary(p => p[0], p => p[1]);
            if (values.TryGetValue("Id", out var id) && values.TryGetValue("LoadState", out var load))
            {
                units.Add(new SystemUnit(
                    id, load, values.GetValueOrDefault("ActiveState", "unknown"), values.GetValueOrDefault("SubState", "unknown"),
                    int.TryParse(values.GetValueOrDefault("MainPID"), NumberStyles.None, CultureInfo.InvariantCulture, out var process)
                        ? process : 0));
            }
        }

        return units;
    }
}
