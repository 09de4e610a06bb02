using System.CommandLine;
using System.Text.Json;

using Whistle.Inventory.Access;

namespace Whistle.Commands;

/// <summary>A role and where it counts, as verbs take and show them.</summary>
static class GrantOptions
{
    static readonly Option<string> Role = Roles();
    static readonly Option<string?> Tenant = new Option<string?>("--tenant") { Description = "The tenant that it counts in." }.NotEmpty();
    static readonly Option<string?> Cluster =
        new Option<string?>("--cluster") { Description = "The only cluster of the tenant that it counts in." }.NotEmpty();
    static readonly Option<bool> AllTenants = new("--all-tenants") { Description = "It counts in every tenant, of today and later." };

    public static Command With(Command command)
    {
        foreach (var option in new Option[] { Role, Tenant, Cluster, AllTenants })
            command.Options.Add(option);
        // That it counts everywhere must be said.
        command.Validators.Add(result =>
        {
            if (result.GetValue(AllTenants) == result.GetValue(Tenant) is not null)
                result.AddError("Say where the role counts: --tenant, with --cluster if it is one cluster, or --all-tenants.");
            else if (result.GetValue(AllTenants) && result.GetValue(Cluster) is not null)
                result.AddError("--cluster needs --tenant.");
        });
        return command;
    }

    public static object Body(ParseResult arguments) =>
        new { role = arguments.GetValue(Role), tenant = arguments.GetValue(Tenant), cluster = arguments.GetValue(Cluster) };

    public static string Query(ParseResult arguments) => string.Join('&', new[]
    {
        $"role={Uri.EscapeDataString(arguments.GetValue(Role)!)}", Part("tenant", arguments.GetValue(Tenant)),
        Part("cluster", arguments.GetValue(Cluster)),
    }.Where(p => p.Length > 0));

    /// <summary>Such as <c>operator of default/prod-1</c>.</summary>
    public static string Words(ParseResult arguments) =>
        $"{arguments.GetValue(Role)} of {Place(arguments.GetValue(Tenant), arguments.GetValue(Cluster))}";

    /// <summary>All grants of an answer.</summary>
    public static string Words(JsonElement of) => string.Join(", ", of.Items("grants").Select(g =>
        $"{g.Text("role")} of {Place(g.Text("tenant"), g.Text("cluster"))}"));

    static string Place(string? of, string? cluster) => string.IsNullOrEmpty(of) ? "all tenants"
        : string.IsNullOrEmpty(cluster) ? of : $"{of}/{cluster}";

    static string Part(string name, string? value) => value is null ? "" : $"{name}={Uri.EscapeDataString(value)}";

    static Option<string> Roles()
    {
        string[] names = [.. Enum.GetValues<Role>().Select(r => r.Name())];
        var option = new Option<string>("--role") { Description = $"{string.Join(", ", names)}.", Required = true };
        return option.AcceptOnlyFromAmong(names);
    }
}
