using System.Text.Json;

using Whistle.Access;

namespace Whistle.Commands;

/// <summary>Whose something is where a verb names no tenant: the only one that has it.</summary>
static class OnlyTenant
{
    /// <param name="lists">Paths of lists whose items name their tenant.</param>
    /// <param name="isMeant">Whether an item is what was named.</param>
    /// <param name="what">It, in words.</param>
    /// <returns>The usual tenant where none has it: the server then says what there is.</returns>
    /// <exception cref="CommandException">Several have it.</exception>
    public static async Task<string> OfAsync(
        ServerConnection server, IEnumerable<string> lists, Func<JsonElement, bool> isMeant, string what, CancellationToken cancellation)
    {
        SortedSet<string> having = new(StringComparer.Ordinal);
        foreach (var list in lists)
            having.UnionWith((await server.GetAsync(list, cancellation)).EnumerateArray().Where(isMeant).Select(i => i.Text("tenant")));
        return having.Count > 1
            ? throw new CommandException($"{string.Join(", ", having)} each have {what}. Name one with --tenant.")
            : having.FirstOrDefault() ?? Enrolment.DefaultTenant;
    }
}
