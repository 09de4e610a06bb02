using System.Globalization;

using Whistle.Inventory;
using Whistle.Inventory.Access;
using Whistle.Web.Tenants;

namespace Whistle.Web.Acts;

/// <summary>The dialogs in which the register is changed.</summary>
static class RegisterRequests
{
    // Of lines that the register takes, each with what ends it.
    const int LongestContacts = RegisterEntry.MostTexts * (RegisterEntry.LongestText + 1);
    const int LongestLabels = RegisterEntry.MostTexts * (RegisterEntry.LongestLabelName + 1 + RegisterEntry.LongestText + 1);

    const string HeardAgain = "Its senders are heard again, and missed when they are silent.";

    static readonly ActField Id = new(
        "id", "Id", Help: "The label of its telemetry: small letters, digits, dots and dashes. It never changes.", IsNeeded: true,
        MaxLength: 253);

    public static ActRequest AddTenant(PersonActs acts) => new()
    {
        Title = "Add a tenant",
        Text = "A customer or a team whose clusters are watched.",
        Fields = [Id, .. Described(new("", [], "", new Dictionary<string, string>()), named: true)],
        Confirm = "Add",
        Done = "Tenant added.",
        Do = input => ReadAsync(input, null, entry => acts.AddTenantAsync(input.Fields["id"].Trim(), entry)),
    };

    /// <summary>Whoever manages this tenant alone does not name it.</summary>
    public static ActRequest EditTenant(KnownTenant tenant, Rights rights, PersonActs acts) => new()
    {
        Title = $"Edit {tenant.Entry.Name}",
        Text = $"Tenant {tenant.Id}. Its id stays as it is.",
        Fields = Described(tenant.Entry, rights.May(Permission.ManageTenants, AccessScope.All)),
        Confirm = "Save",
        Done = "Tenant saved.",
        Do = input => ReadAsync(input, tenant.Entry, change => acts.ChangeTenantAsync(tenant.Id, change)),
    };

    public static ActRequest Limits(KnownTenant tenant, PersonActs acts) => new()
    {
        Title = $"Limits of {tenant.Entry.Name}",
        Text = "What it may send, and how long it is kept. What is left empty is the server's own setting. Telemetry that is older than "
            + "the days kept is deleted for good.",
        Fields =
        [
            .. TenantLimits.Each.Select(l => new ActField(
                l.Name, TenantView.Label(l.Words),
                l.Of(tenant.Limits)?.ToString(CultureInfo.InvariantCulture) ?? "", IsNumber: true, MaxLength: 20)),
        ],
        Confirm = "Save",
        Endangers = fields => IsShorter(fields[TenantLimits.Days], tenant.Limits.RetentionDays),
        Done = "Limits saved. Every server counts with them within seconds.",
        Do = async input => LimitsOf(input.Fields, out var limits) is { } mistake
            ? mistake : await acts.SetTenantLimitsAsync(tenant.Id, limits),
    };

    public static ActRequest Service(KnownTenant tenant, PersonActs acts) => tenant.History.IsArchived
        ? Unarchive("Tenant in use again.", tenant.Entry.Name, HeardAgain, () => acts.UnarchiveTenantAsync(tenant.Id))
        : Archive(
            "Tenant archived.", tenant.Entry.Name,
            "Telemetry and new senders of all its clusters are refused, and nobody misses its reports. Its history stays.",
            () => acts.ArchiveTenantAsync(tenant.Id));

    public static ActRequest AddCluster(KnownTenant tenant, PersonActs acts) => new()
    {
        Title = "Add a cluster",
        Text = $"Of tenant {tenant.Entry.Name}.",
        Fields = [Id, .. Described(new("", [], "", new Dictionary<string, string>()), named: true)],
        Confirm = "Add",
        Done = "Cluster added.",
        Do = input => ReadAsync(input, null, entry => acts.AddClusterAsync(new(tenant.Id, input.Fields["id"].Trim()), entry)),
    };

    public static ActRequest EditCluster(KnownCluster cluster, PersonActs acts) => new()
    {
        Title = $"Edit {cluster.Entry.Name}",
        Text = $"Cluster {cluster.Id.Cluster} of tenant {cluster.Id.Tenant}. Its id stays as it is.",
        Fields = Described(cluster.Entry, named: true),
        Confirm = "Save",
        Done = "Cluster saved.",
        Do = input => ReadAsync(input, cluster.Entry, change => acts.ChangeClusterAsync(cluster.Id, change)),
    };

    public static ActRequest Service(KnownCluster cluster, PersonActs acts) => cluster.History.IsArchived
        ? Unarchive("Cluster in use again.", cluster.Entry.Name, HeardAgain, () => acts.UnarchiveClusterAsync(cluster.Id))
        : Archive(
            "Cluster archived.", cluster.Entry.Name,
            "Telemetry and new senders of the cluster are refused, and nobody misses its reports. Its history stays.",
            () => acts.ArchiveClusterAsync(cluster.Id));

    public static ActRequest Service(KnownNode node, PersonActs acts) => node.Archived is not null
        ? Unarchive(
            node.EnrolledAt is null ? "Node unarchived. It has no credential." : "Node in service again.", node.Id.Node,
            node.EnrolledAt is null
                ? "It has no credential, so it is in service only once it is enrolled: that unarchives it too."
                : "Its agent reports again with the credential that it has, and is missed when it does not.",
            () => acts.UnarchiveNodeAsync(node.Id))
        : Archive(
            "Node archived.", node.Id.Node,
            "Its reports are refused, and its silence raises no signal. Its history stays. Stop its agent too.",
            () => acts.ArchiveNodeAsync(node.Id));

    static ActRequest Archive(string done, string name, string text, Func<Task<string?>> act) => new()
    {
        Title = $"Archive {name}",
        Text = text,
        Confirm = "Archive",
        IsDangerous = true,
        Done = done,
        Do = _ => act(),
    };

    static ActRequest Unarchive(string done, string name, string text, Func<Task<string?>> act) => new()
    {
        Title = $"Unarchive {name}",
        Text = text,
        Confirm = "Unarchive",
        Done = done,
        Do = _ => act(),
    };

    static IReadOnlyList<ActField> Described(RegisterEntry entry, bool named)
    {
        ActField contacts = new(
            "contacts", "Contacts", string.Join('\n', entry.Contacts), "Whom to ask, one a line.", Lines: 3, MaxLength: LongestContacts);
        ActField notes = new("notes", "Notes", entry.Notes, Lines: 3, MaxLength: RegisterEntry.LongestNotes);
        return !named ? [contacts, notes] :
        [
            new("name", "Name", entry.Name, entry.Name.Length > 0 ? "" : "What it is called; the id if not given.",
                IsNeeded: entry.Name.Length > 0, MaxLength: RegisterEntry.LongestName),
            contacts,
            new("labels", "Labels", string.Join('\n', entry.Labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(
                l => $"{l.Key}={l.Value}")), "One a line, such as zone=eu-1. They are no labels of telemetry.", Lines: 3,
                MaxLength: LongestLabels),
            notes,
        ];
    }

    // What stayed as it was is not written: somebody else may have changed it, or it may not be this person's to change.
    static async Task<string?> ReadAsync(ActInput input, RegisterEntry? before, Func<RegisterChange, Task<string?>> act)
    {
        if (LabelsOf(input.Fields.GetValueOrDefault("labels", ""), out var labels) is { } mistake)
            return mistake;
        var name = input.Fields.GetValueOrDefault("name", "").Trim();
        var contacts = Lines(input.Fields["contacts"]);
        var notes = input.Fields["notes"].ReplaceLineEndings("\n").Trim();
        var change = new RegisterChange(
            name.Length > 0 && name != before?.Name ? name : null,
            before?.Contacts.SequenceEqual(contacts) is true ? null : contacts,
            notes == before?.Notes.ReplaceLineEndings("\n").Trim() ? null : notes,
            !input.Fields.ContainsKey("labels") || (before is not null && before.Labels.Count == labels.Count
                && labels.All(l => before.Labels.GetValueOrDefault(l.Key) == l.Value)) ? null : labels);
        return before is not null && change == new RegisterChange() ? null : await act(change);
    }

    static string? LabelsOf(string text, out Dictionary<string, string> labels)
    {
        labels = [];
        foreach (var line in Lines(text))
        {
            if (line.Split('=', 2) is not [{ Length: > 0 } name, var value])
                return $"labels: \"{line}\" is no label. Write it like zone=eu-1.";
            if (!labels.TryAdd(name.Trim(), value.Trim()))
                return $"labels: {name.Trim()} is there twice.";
        }

        return null;
    }

    static string? LimitsOf(IReadOnlyDictionary<string, string> fields, out TenantLimits limits)
    {
        limits = TenantLimits.None;
        var values = new Dictionary<string, long?>();
        foreach (var (name, _, _) in TenantLimits.Each)
        {
            var text = fields[name].Trim();
            var isNumber = long.TryParse(text, NumberStyles.AllowThousands, CultureInfo.InvariantCulture, out var value);
            if (text.Length > 0 && (!isNumber || (value > int.MaxValue && name != "bytesPerSecond")))
                return $"{name}: \"{text}\" is not a whole number{(isNumber ? $" up to {int.MaxValue}" : "")}.";
            values[name] = text.Length > 0 ? value : null;
        }

        limits = new(
            (int?)values["series"], (int?)values["newSeries"], (int?)values["storedSeries"], (int?)values["samplesPerSecond"],
            values["bytesPerSecond"], (int?)values[TenantLimits.Days]);
        return null;
    }

    // What the server keeps by itself is longer than all that a tenant may be given.
    static bool IsShorter(string days, int? before) =>
        int.TryParse(days, NumberStyles.AllowThousands, CultureInfo.InvariantCulture, out var after) && (before is null || after < before);

    static string[] Lines(string text) =>
        text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
