using System.Text.Json;

namespace Whistle.Inventory.Access;

/// <summary>The names of permissions.</summary>
public static class Permissions
{
    /// <summary>As it is written, such as <c>manage-people</c>.</summary>
    public static string Name(Permission permission) => JsonNamingPolicy.KebabCaseLower.ConvertName(permission.ToString());
}
