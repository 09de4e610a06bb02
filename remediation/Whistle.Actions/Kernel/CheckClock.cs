using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

using Whistle.Actions.Contract;
using Whistle.Actions.Policy;
using Whistle.Actions.Protocol;
using Whistle.Actions.Units;

namespace Whistle.Actions.Kernel;

/// <param name="Services">The time services that systemd knows here, by the names of their units, each with its state.</param>
/// <param name="ServicesUnknown">Why they are not known.</param>
sealed record ClockReport(
    bool Synchronised, double? OffsetSeconds, double MaximumErrorSeconds, double EstimatedErrorSeconds, DateTimeOffset Now,
    IReadOnlyDictionary<string, string> Services, string? ServicesUnknown);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ClockReport))]
sealed partial class ClockJson : JsonSerializerContext;

/// <summary>
/// Whether the node's clock is kept, and by what. It never steps the clock: a time service does that, once <c>unit.restart</c> has
/// restarted it.
/// </summary>
sealed class CheckClock : INodeAction
{
    static readonly string[] TimeServices =
    [
        "chrony.service", "chronyd.service", "systemd-timesyncd.service", "ntp.service", "ntpd.service", "ntpsec.service",
        "openntpd.service",
    ];

    public ActionDescriptor Descriptor { get; } = new()
    {
        Name = "clock.check",
        Summary = "Says whether the clock is synchronised, and by which time service.",
        Reads = "the kernel's clock, and the state of the time services",
        Report = ClockJson.Default.ClockReport,
    };

    [ModuleInitializer]
    internal static void Add() => NodeActions.Add(new CheckClock());

    public string Allowance(NodePolicy? policy) => "always allowed, because it changes nothing";

    public Task<ActionReport> RunAsync(Arguments asked, ActionContext context, CancellationToken cancellation) =>
        NodeWork.RunAsync(context, () => CheckAsync(context, cancellation), cancellation);

    static async Task<ActionReport> CheckAsync(ActionContext context, CancellationToken cancellation)
    {
        var clock = context.ReadClock();
        var (units, unknown) = await SystemUnit.ShowAsync(context, TimeServices, cancellation).ConfigureAwait(false);
        // One unit may have several names.
        var services = units.Where(u => u.LoadState == "loaded").DistinctBy(u => u.Id).ToDictionary(u => u.Id, u => u.ActiveState);
        var report = new ClockReport(
            clock.Synchronised, clock.Offset, clock.MaximumError, clock.EstimatedError, context.Time.GetUtcNow(), services, unknown);
        var active = services.Where(s => s.Value == "active").Select(s => s.Key).ToList();
        var by = unknown is not null ? "" : active.Count switch
        {
            0 => " No time service is active.",
            1 => $" {active[0]} is active.",
            _ => $" {string.Join(" and ", active)} are active, of which one should be.",
        };
        var offset = clock.Offset is { } seconds ? $", {seconds * 1000:0.0} ms off" : "";
        return NodeWork.Report(
            CommandOutcome.Succeeded, $"The clock is {(clock.Synchronised ? "" : "not ")}synchronised{offset}.{by}", report,
            ClockJson.Default.ClockReport);
    }
}
