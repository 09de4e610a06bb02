using System.Reflection;
using System.Reflection.Emit;

using Xunit;

namespace Whistle.Tests;

/// <summary>
/// Each project's folders are in the order that <c>folders.txt</c> gives: what a folder's code refers to is in the same folder or in one
/// before it. Read from what was compiled, so only constants and what attributes name escape it.
/// </summary>
public sealed class FolderOrderTests
{
    const BindingFlags All =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    static readonly Dictionary<short, OpCode> Codes =
        typeof(OpCodes).GetFields().Select(f => (OpCode)f.GetValue(null)!).ToDictionary(c => c.Value);

    public static TheoryData<string> Projects => [.. ProjectGraph.Folders.Keys];

    [Theory]
    [MemberData(nameof(Projects))]
    public void A_folder_refers_only_to_those_before_it(string project)
    {
        var assembly = Assembly.Load(project switch { "Whistle" => "whistle", "Whistle.Agent" => "whistle-agent", _ => project });
        var order = ProjectGraph.Folders[project];
        var types = assembly.GetTypes().Where(t => IsOfProject(t, project)).ToList();

        Assert.Equal(
            order.Where(f => f[0] != '.').Order(),
            types.Select(t => Folder(t, project, [])).Where(f => f != ".").Select(f => Place(f, order)).Distinct().Order());
        Assert.Contains(".", order);
        var named = order.Where(f => f.Length > 1 && f[0] == '.');
        Assert.Empty(named.Except(types.Where(t => t.Namespace == project).Select(t => $".{t.Name}")));
        var wrong = types.SelectMany(t => Uses(t).Where(u => u.Assembly == assembly && IsOfProject(Owner(u), project)).Select(
            u => (From: Owner(t), To: Owner(u)))).Distinct()
            .Where(r => IsWrong(Folder(r.From, project, order), Folder(r.To, project, order), order))
            .Select(r => $"{Folder(r.From, project, order)}/{r.From.Name} -> {Folder(r.To, project, order)}/{r.To.Name}")
            .Distinct().Order();
        Assert.True(!wrong.Any(), $"A folder refers to one after it:\n{string.Join('\n', wrong)}");
    }

    // Not what a generator adds in a namespace of its own.
    static bool IsOfProject(Type type, string project) =>
        type.Namespace is { } ns && (ns == project || ns.StartsWith($"{project}.", StringComparison.Ordinal));

    // Folders that share a place may not refer to each other.
    static bool IsWrong(string from, string to, string[] order)
    {
        var (at, there) = (Array.IndexOf(order, Place(from, order)), Array.IndexOf(order, Place(to, order)));
        return at < there || (at == there && from != to);
    }

    static string Place(string folder, string[] order) => order.Contains(folder) || !order.Contains("*") ? folder : "*";

    static string Folder(Type type, string project, string[] order)
    {
        var owner = Owner(type);
        if (owner.Namespace != project)
            return owner.Namespace?[(project.Length + 1)..].Split('.')[0] ?? ".";
        return order.Contains($".{owner.Name}") ? $".{owner.Name}" : ".";
    }

    static Type Owner(Type type) => type.DeclaringType is { } outer ? Owner(outer) : type;

    static IEnumerable<Type> Uses(Type type) =>
        new[] { type.BaseType }.Concat(type.GetInterfaces()).Concat(type.GetFields(All).Select(f => f.FieldType))
            .Concat(type.GetMethods(All).Cast<MethodBase>().Concat(type.GetConstructors(All)).SelectMany(Uses)).OfType<Type>()
            .SelectMany(Parts);

    static IEnumerable<Type?> Uses(MethodBase method)
    {
        foreach (var parameter in method.GetParameters())
            yield return parameter.ParameterType;
        if (method is MethodInfo { ReturnType: { } answer })
            yield return answer;
        if (method.GetMethodBody() is not { } body)
            yield break;
        foreach (var local in body.LocalVariables)
            yield return local.LocalType;
        foreach (var clause in body.ExceptionHandlingClauses.Where(c => c.Flags == ExceptionHandlingClauseOptions.Clause))
            yield return clause.CatchType;
        foreach (var used in Tokens(method, body.GetILAsByteArray()!))
            yield return used;
    }

    static IEnumerable<Type?> Tokens(MethodBase method, byte[] code)
    {
        for (var at = 0; at < code.Length;)
        {
            var op = Codes[code[at] == 0xFE ? (short)(0xFE00 | code[at + 1]) : code[at]];
            at += op.Size;
            switch (op.OperandType)
            {
                case OperandType.InlineMethod or OperandType.InlineField or OperandType.InlineType or OperandType.InlineTok:
                    foreach (var used in Resolve(method, BitConverter.ToInt32(code, at)))
                        yield return used;
                    at += 4;
                    break;
                case OperandType.InlineSwitch:
                    at += 4 + (4 * BitConverter.ToInt32(code, at));
                    break;
                case OperandType.InlineI8 or OperandType.InlineR:
                    at += 8;
                    break;
                case OperandType.InlineVar:
                    at += 2;
                    break;
                case OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar:
                    at += 1;
                    break;
                case OperandType.InlineNone:
                    break;
                default:
                    at += 4;
                    break;
            }
        }
    }

    static IEnumerable<Type?> Resolve(MethodBase method, int token)
    {
        var ofType = method.DeclaringType is { IsGenericType: true } generic ? generic.GetGenericArguments() : null;
        var ofMethod = method is { IsGenericMethod: true } ? method.GetGenericArguments() : null;
        var member = method.Module.ResolveMember(token, ofType, ofMethod);
        yield return member as Type ?? member?.DeclaringType;
        if (member is MethodInfo { IsGenericMethod: true } called)
        {
            foreach (var argument in called.GetGenericArguments())
                yield return argument;
        }
    }

    static IEnumerable<Type> Parts(Type type)
    {
        if (type.HasElementType)
            return Parts(type.GetElementType()!);
        return type.IsGenericType ? type.GetGenericArguments().SelectMany(Parts).Append(type.GetGenericTypeDefinition()) : [type];
    }
}
