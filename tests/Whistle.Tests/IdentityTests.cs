using System.Reflection;
using System.Runtime.CompilerServices;

using Whistle.Inventory;

using Xunit;

namespace Whistle.Tests;

/// <summary>
/// Clusters and nodes travel as <see cref="ClusterId"/> and <see cref="NodeId"/>. Where two strings stand for one, somebody passes them the
/// other way round one day. Read from what was compiled: parameters, and the names of tuples in whatever a type declares.
/// </summary>
public sealed class IdentityTests
{
    const BindingFlags All =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    // The ids are made of the names.
    static readonly string[] Ids = [nameof(ClusterId), nameof(NodeId)];

    // What people name of the fleet: an empty name, or none, means all. Such a scope is no cluster.
    static readonly string[] Scopes =
        ["NamedScope", "BrakeScope", "PauseScope", "Pause", "ModeEntry", "MaintenanceWindow", "ChangeFreeze", "AccessScope",
        "KnownPlaces", "NamedSender"];

    // Bodies of requests and answers: their fields are the API.
    static readonly string[] Bodies =
    [
        "AgentAnswer", "IncidentAnswer", "RunAnswer", "ReplayAnswer", "ModeRequest", "ModeAnswer", "PauseRequest", "WindowRequest",
        "WindowAnswer", "FreezeRequest", "JoinTokenRequest", "JoinTokenAnswer", "EnrolAnswer", "GrantRequest",
        "GrantAnswer", "AuditEntryAnswer", "NodeAnswer", "RevokedAnswer", "RotationAnswer",
    ];

    [Fact]
    public void No_two_strings_stand_for_a_cluster()
    {
        string[] exceptions = [.. Ids, .. Scopes, .. Bodies];
        var found = Assemblies().SelectMany(a => a.GetTypes()).SelectMany(t => Pairs(t).Select(p => (Type: t.Name, Place: $"{t}: {p}")))
            .ToList();

        var wrong = found.Where(f => !exceptions.Contains(f.Type)).Select(f => f.Place).Distinct().Order();
        Assert.True(!wrong.Any(), $"A ClusterId or NodeId belongs here, or a reason into this test:\n{string.Join('\n', wrong)}");
        Assert.Equal([], exceptions.Except(found.Select(f => f.Type)));
    }

    [Fact]
    public void Two_strings_are_found_as_parameters_and_in_tuples() =>
        Assert.Equal(
            [".ctor", "Of", "Of clusters", "Seen"],
            Pairs(typeof(Astray)).Where(p => !p.Contains('<', StringComparison.Ordinal)).Distinct().Order(StringComparer.Ordinal));

    static IEnumerable<Assembly> Assemblies() =>
        ProjectGraph.Projects.Select(p => p.Name)
            .Select(p => Assembly.Load(p switch { "Whistle" => "whistle", "Whistle.Agent" => "whistle-agent", _ => p }));

    static IEnumerable<string> Pairs(Type type) =>
        Methods(type).Where(HasPair).Select(m => m.Name)
            .Concat(Tuples(type).Where(t => t.Provider.GetCustomAttributes(false).Any(IsPair)).Select(t => t.Name));

    static IEnumerable<MethodBase> Methods(Type type) => type.GetMethods(All).Cast<MethodBase>().Concat(type.GetConstructors(All));

    static bool HasPair(MethodBase method)
    {
        string?[] names = [.. method.GetParameters().Select(p => p.ParameterType == typeof(string) ? p.Name : null)];
        return HasPair(names);
    }

    static bool IsPair(object attribute) => attribute is TupleElementNamesAttribute names && HasPair(names.TransformNames);

    // Next to each other, in either order.
    static bool HasPair(IList<string?> names) => names.Zip(names.Skip(1)).Any(p =>
        (IsNamed(p.First, "tenant") && IsNamed(p.Second, "cluster")) || (IsNamed(p.First, "cluster") && IsNamed(p.Second, "tenant")));

    static bool IsNamed(string? name, string wanted) => string.Equals(name?.TrimStart('_'), wanted, StringComparison.OrdinalIgnoreCase);

    static IEnumerable<(string Name, ICustomAttributeProvider Provider)> Tuples(Type type)
    {
        yield return (type.Name, type);
        foreach (var member in type.GetFields(All).Cast<MemberInfo>().Concat(type.GetProperties(All)))
            yield return (member.Name, member);
        foreach (var method in type.GetMethods(All))
            yield return (method.Name, method.ReturnParameter);
        foreach (var parameter in Methods(type).SelectMany(m => m.GetParameters()))
            yield return ($"{parameter.Member.Name} {parameter.Name}", parameter);
    }

    sealed class Astray(string cluster, string tenant)
    {
        public Dictionary<(string Tenant, string Cluster, string? Node), int> Seen = new() { [(tenant, cluster, null)] = 1 };

        public static int Of(string name, string tenant, string cluster) => name.Length + tenant.Length + cluster.Length;

        public static int Of(IEnumerable<(string Tenant, string Cluster)> clusters) => clusters.Count();
    }
}
