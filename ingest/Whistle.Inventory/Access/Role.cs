using System.Collections.Frozen;

namespace Whistle.Inventory.Access;

/// <summary>What a grant makes of somebody.</summary>
public enum Role
{
    Viewer,
    Responder,
    Operator,
    Admin,

    /// <summary>Sees and comments what is theirs: of one tenant, or one cluster of it.</summary>
    Customer,

    /// <summary>A customer who may also approve repairs.</summary>
    CustomerApprover,
}

/// <summary>The names of roles and what each allows: the one table.</summary>
public static class Roles
{
    static readonly Permission[] View = [Permission.Read];
    static readonly Permission[] Responding = [.. View, Permission.Comment, Permission.Respond];
    static readonly Permission[] Operating = [.. Responding, Permission.Approve, Permission.Operate, Permission.Enrol];

    static readonly FrozenDictionary<Role, FrozenSet<Permission>> Table = new Dictionary<Role, FrozenSet<Permission>>
    {
        [Role.Viewer] = [.. View],
        [Role.Responder] = [.. Responding],
        [Role.Operator] = [.. Operating],
        [Role.Admin] =
        [
            .. Operating, Permission.ReadAudit, Permission.ManagePeople, Permission.ManageTenants, Permission.ManageServer,
        ],
        [Role.Customer] = [Permission.Read, Permission.Comment],
        [Role.CustomerApprover] = [Permission.Read, Permission.Comment, Permission.Approve],
    }.ToFrozenDictionary();

    static readonly FrozenDictionary<string, Role> ByName = Enum.GetValues<Role>().ToFrozenDictionary(Name, StringComparer.Ordinal);

    /// <summary>All names, for messages.</summary>
    public static string Names { get; } = string.Join(", ", Enum.GetValues<Role>().Select(Name));

    public static bool Allows(this Role role, Permission permission) => Table[role].Contains(permission);

    /// <summary>Whether the role is a customer's, which is never given for all tenants.</summary>
    public static bool IsCustomers(this Role role) => role is Role.Customer or Role.CustomerApprover;

    /// <summary>As it is written and stored, such as <c>customer-approver</c>.</summary>
    public static string Name(this Role role) => role switch
    {
        Role.Viewer => "viewer",
        Role.Responder => "responder",
        Role.Operator => "operator",
        Role.Admin => "admin",
        Role.Customer => "customer",
        Role.CustomerApprover => "customer-approver",
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "There is no such role."),
    };

    /// <summary>Null where nobody knows the name.</summary>
    public static Role? Find(string? name) => name is not null && ByName.TryGetValue(name, out var role) ? role : null;
}
