using System.ComponentModel;
using System.Text.Json;

using Microsoft.AspNetCore.Http.HttpResults;

using Whistle.Detectors.Http;
using Whistle.Inventory.Access;
using Whistle.Inventory.Audit;
using Whistle.Inventory.Callers;

namespace Whistle.Access;

/// <param name="At">To the millisecond; as it is hashed.</param>
/// <param name="Details">JSON, as it is hashed; may be empty.</param>
/// <param name="Previous">The hash of the entry before.</param>
sealed record AuditEntryAnswer(
    long Number, string At, string Actor, string Identity, string From, string Action, string Tenant, string Cluster, string Subject,
    string Details, string Outcome, string Reason, string Previous, string Hash)
{
    public static AuditEntryAnswer Of(AuditEntry entry) => new(
        entry.Number, entry.AtText, entry.What.Actor.Name, entry.What.Actor.Identity, entry.What.Actor.From, entry.What.Action,
        entry.What.Scope.Tenant ?? "", entry.What.Scope.Cluster ?? "", entry.What.Subject, entry.What.Details, entry.OutcomeText,
        entry.What.Reason, entry.Previous, entry.Hash);
}

/// <param name="Entries">The latest first.</param>
/// <param name="Before">To be given as before for the entries that follow; null where there are none.</param>
sealed record AuditList(IReadOnlyList<AuditEntryAnswer> Entries, long? Before);

/// <param name="Entries">So many are as they were written, up to the first that is not.</param>
/// <param name="Head">Number and hash of the last of them. Keep it elsewhere, and give it as head at a later time.</param>
/// <param name="Fault">What is wrong with the first that is not; null where nothing is.</param>
sealed record AuditAnswer(bool Whole, long Entries, string Head, long? FirstWrong, string? Fault);

/// <summary>Of <see cref="WhistleApi"/>: the audit, each entry to those who may read it there.</summary>
static class AuditApi
{
    const int Most = 1_000;
    const string SinceHelp = "How far back, such as 24h; all if not given.";
    const string ActorHelp = "Only what was asked by whom with this name or identity; ann* for what begins with it.";
    const string ActionHelp = "Only this action, such as approve-run; enrol* for what begins with it.";
    const string TenantHelp = "Only what was this tenant's.";

    static readonly byte[] LineEnd = [(byte)'\n'];

    public static void Map(WebApplication app, AuditLog audit, KnownPlaces places)
    {
        var time = app.Services.GetRequiredService<TimeProvider>();
        var group = WhistleApi.Group(app, "audit");
        group.MapGet("/audit", async Task<Results<Ok<AuditList>, BadRequest<ApiError>, NotFound<ApiError>>> (
            [Description(SinceHelp)] string? since, [Description(ActorHelp)] string? actor,
            [Description(ActionHelp)] string? action, [Description(TenantHelp)] string? tenant,
            [Description("Only done, refused or failed.")] string? outcome,
            [Description("Only entries with lower numbers, to page.")] long? before,
            [Description("At most so many; 100 if not given, up to 1000.")] int? limit, Caller caller, CancellationToken cancellation) =>
        {
            var (filter, mistake) = FilterOf(since, actor, action, tenant, outcome, caller, time);
            if (mistake is not null)
                return mistake;
            if (await UnknownAsync(places, audit, caller, tenant, filter, cancellation) is { } unknown)
                return unknown;
            var most = Math.Clamp(limit ?? 100, 1, Most);
            var entries = await audit.ListAsync(filter with { Before = before }, most + 1, cancellation);
            return TypedResults.Ok(new AuditList(
                [.. entries.Take(most).Select(AuditEntryAnswer.Of)], entries.Count > most ? entries[most - 1].Number : null));
        }).WithName("listAudit").WithSummary("Who did what, from where and when; the latest first.").Needs(Permission.ReadAudit);
        group.MapGet("/audit/verify", async Task<Results<Ok<AuditAnswer>, BadRequest<ApiError>>> (
            [Description("A head that was answered earlier and kept elsewhere: whether it still is in the chain is checked too.")]
            string? head, CancellationToken cancellation) =>
        {
            var known = head is null ? null : AuditHead.Parse(head);
            if (head is not null && known is null)
                return WhistleApi.BadRequest("head: it must be a number, a colon and 64 hexadecimal digits, as the answer has it.");
            var check = await audit.VerifyAsync(known, cancellation);
            return TypedResults.Ok(new AuditAnswer(
                check.Fault is null, check.Entries, $"{check.Head}", check.Fault?.Number, check.Fault?.Reason));
        }).WithName("verifyAudit").WithSummary("Whether every entry is as it was written, and the first that is not.")
            .NeedsEverywhere(Permission.ReadAudit).ReadsNoTenant();
        group.MapGet("/audit/export", async Task<Results<PushStreamHttpResult, BadRequest<ApiError>, NotFound<ApiError>>> (
            [Description(SinceHelp)] string? since, [Description(ActorHelp)] string? actor,
            [Description(ActionHelp)] string? action, [Description(TenantHelp)] string? tenant,
            Caller caller, CancellationToken cancellation) =>
        {
            var (filter, mistake) = FilterOf(since, actor, action, tenant, null, caller, time);
            if (mistake is not null)
                return mistake;
            return await UnknownAsync(places, audit, caller, tenant, filter, cancellation) is { } unknown ? unknown
                : TypedResults.Stream(stream => WriteAsync(stream, audit, filter, cancellation), "application/jsonl");
        }).WithName("exportAudit").WithSummary("The entries as lines of JSON, the oldest first, with which the chain can be verified.")
            .Produces<AuditEntryAnswer>(StatusCodes.Status200OK, "application/jsonl").Needs(Permission.ReadAudit);
    }

    // A refused act may name a tenant that was never added. Its entry is in the log and can be read.
    static async Task<NotFound<ApiError>?> UnknownAsync(
        KnownPlaces places, AuditLog audit, Caller caller, string? tenant, AuditFilter filter, CancellationToken cancellation) =>
        await places.MistakeAsync(caller.Rights, tenant, null, cancellation) is { } mistake
            && (await audit.ListAsync(filter, 1, cancellation)).Count == 0 ? WhistleApi.NotFound(mistake) : null;

    static async Task WriteAsync(Stream stream, AuditLog audit, AuditFilter filter, CancellationToken cancellation)
    {
        await using var buffer = new BufferedStream(stream, 64 << 10);
        await foreach (var entry in audit.ExportAsync(filter, cancellation))
        {
            await buffer.WriteAsync(
                JsonSerializer.SerializeToUtf8Bytes(AuditEntryAnswer.Of(entry), JsonSerializerOptions.Web), cancellation);
            await buffer.WriteAsync(LineEnd, cancellation);
        }

        await buffer.FlushAsync(cancellation);
    }

    // What somebody may not read is not there.
    static (AuditFilter Filter, BadRequest<ApiError>? Mistake) FilterOf(
        string? since, string? actor, string? action, string? tenant, string? outcome, Caller caller, TimeProvider time)
    {
        var scopes = caller.Rights.ScopesOf(Permission.ReadAudit);
        if (tenant is not null)
            scopes = [.. scopes.Where(s => s.Overlaps(AccessScope.Of(tenant))).Select(s => s.IsAll ? AccessScope.Of(tenant) : s)];
        var wanted = string.IsNullOrEmpty(outcome) ? null : AuditEntry.OutcomeOf(outcome);
        if (wanted is null && !string.IsNullOrEmpty(outcome))
            return (new(), WhistleApi.BadRequest($"outcome: \"{outcome}\" is not done, refused or failed."));
        if ((since is null ? TimeSpan.Zero : WhistleApi.Duration(since)) is not { } back)
            return (new(), WhistleApi.BadDuration("since", since));
        return (
            new(since is null ? null : time.GetUtcNow() - back, null, NotEmpty(actor), NotEmpty(action), wanted, scopes), null);
    }

    static string? NotEmpty(string? text) => text is { Length: > 0 } ? text : null;
}
