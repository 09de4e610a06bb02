using System.Text.Json;

using Whistle.Access;

namespace Whistle.Commands;

/// <summary>Whose something is where a verb names no tenant, by the lists that the server answers.</summary>
static class ListedTenant
{
    /// <param name="lists">Paths of lists whose items name their tenant.</param>
    /// <param name="isMeant">Whether an item is what was named.</param>
    /// <param name="what">It, in words.</param>
    /// <returns>The usual tenant where none has it: the server then says what there is.</returns>
    /// <exception cref="CommandException">Several have it.</exception>
    public static async Task<string> OfAsync(
        ServerConnection server, IEnumerable<string> lists, Func<JsonElement, bool> isMeant, string what, CancellationToken cancellation)
    {
        List<string> having = [];
        foreach (var list in lists)
            having.AddRange((await server.GetAsync(list, cancellation)).EnumerateArray().Where(isMeant).Select(i => i.Text("tenant")));
        var (tenant, several) = OnlyTenant.Of(having, what);
        return several is null ? tenant ?? Enrolment.DefaultTenant : throw new CommandException(several);
    }
}
