using System.Collections.Frozen;
using System.Text.RegularExpressions;

namespace Whistle.Actions.Secrets;

/// <summary>
/// Options whose values are shown, by program, and what such a value must look like: nothing that could be a secret fits. A program or an
/// option that is not listed only costs that its value is not seen.
/// </summary>
static partial class HarmlessArguments
{
    enum Kind
    {
        /// <summary>A whole number or a size: 3306, 512m, 15s.</summary>
        Number,

        /// <summary>Absolute, of plain words.</summary>
        Path,

        /// <summary>[host]:port, numbers only.</summary>
        Address,

        /// <summary>true, false, debug, info, warning, error, json, text…</summary>
        Word,
    }

    static readonly FrozenDictionary<string, FrozenDictionary<string, Kind>> ByProgram =
        new Dictionary<string, FrozenDictionary<string, Kind>>
        {
            ["kubelet"] = Options(
                (Kind.Path, "--config --kubeconfig --bootstrap-kubeconfig --root-dir --cert-dir"), (Kind.Number, "--v --max-pods --port"),
                (Kind.Address, "--node-ip")),
            ["kube-apiserver"] = Options(
                (Kind.Number, "--v --secure-port"), (Kind.Address, "--advertise-address --bind-address"),
                (Kind.Path, "--etcd-cafile --client-ca-file")),
            ["kube-controller-manager"] = Options(
                (Kind.Number, "--v"), (Kind.Word, "--leader-elect"), (Kind.Path, "--kubeconfig"), (Kind.Address, "--bind-address")),
            ["kube-scheduler"] = Options(
                (Kind.Number, "--v"), (Kind.Word, "--leader-elect"), (Kind.Path, "--kubeconfig"), (Kind.Address, "--bind-address")),
            ["kube-proxy"] = Options((Kind.Path, "--config --kubeconfig"), (Kind.Number, "--v")),
            ["etcd"] = Options(
                (Kind.Path, "--data-dir --wal-dir"),
                (Kind.Number, "--quota-backend-bytes --snapshot-count --heartbeat-interval --election-timeout")),
            ["containerd"] = Options((Kind.Path, "--config --root --state --address -c -a"), (Kind.Word, "--log-level -l")),
            ["containerd-shim-runc-v2"] = Options((Kind.Word, "-namespace"), (Kind.Path, "-address")),
            ["crio"] = Options((Kind.Path, "--config --root"), (Kind.Word, "--log-level")),
            ["dockerd"] = Options((Kind.Path, "--containerd --data-root --config-file"), (Kind.Word, "--log-level -l")),
            ["mysqld"] = Options(
                (Kind.Number, "--port --max_connections --server-id"), (Kind.Path, "--datadir --basedir --socket --defaults-file")),
            ["mariadbd"] = Options((Kind.Number, "--port"), (Kind.Path, "--datadir --basedir --socket")),
            ["postgres"] = Options((Kind.Path, "-D"), (Kind.Number, "-p")),
            ["redis-server"] = Options((Kind.Number, "--port --maxmemory")),
            ["nginx"] = Options((Kind.Path, "-c")),
            ["sshd"] = Options((Kind.Number, "-p"), (Kind.Path, "-f")),
            ["prometheus"] = Options(
                (Kind.Path, "--config.file --storage.tsdb.path"), (Kind.Number, "--storage.tsdb.retention.time"),
                (Kind.Address, "--web.listen-address")),
            ["node_exporter"] = Options((Kind.Path, "--path.procfs --path.sysfs --path.rootfs"), (Kind.Address, "--web.listen-address")),
            ["whistle-agent"] = Options((Kind.Path, "--policy-file --token-file --path.procfs")),
            ["coredns"] = Options((Kind.Path, "-conf")),
            ["systemd"] = Options((Kind.Number, "--deserialize"), (Kind.Word, "--switched-root --system --user")),
        }.ToFrozenDictionary();

    public static bool Knows(string program, string option) =>
        ByProgram.TryGetValue(program, out var options) && options.ContainsKey(option);

    public static bool IsHarmless(string program, string option, string value) =>
        ByProgram.TryGetValue(program, out var options) && options.TryGetValue(option, out var kind) && Pattern(kind).IsMatch(value)
            && Redaction.IsClean(value);

    static FrozenDictionary<string, Kind> Options(params (Kind Kind, string Names)[] options) =>
        options.SelectMany(o => o.Names.Split(' ').Select(n => KeyValuePair.Create(n, o.Kind))).ToFrozenDictionary();

    static Regex Pattern(Kind kind) => kind switch
    {
        Kind.Number => Number(),
        Kind.Path => Path(),
        Kind.Address => Address(),
        _ => Word(),
    };

    [GeneratedRegex(@"\A[0-9]{1,12}(?:[kmgt]i?b?|[smhdw]|ms)?\z", RegexOptions.IgnoreCase)]
    private static partial Regex Number();

    [GeneratedRegex(@"\A(?:/\.?[a-z]{1,20}[0-9]{0,3}(?:[._-](?:[a-z]{1,20}[0-9]{0,3}|[0-9]{1,3}))*){1,10}/?\z")]
    private static partial Regex Path();

    [GeneratedRegex(@"\A(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|\[?(?=[0-9a-f]{0,4}:)[0-9a-f:]{2,39}\]?)?(?::[0-9]{1,5})?\z")]
    private static partial Regex Address();

    [GeneratedRegex(@"\A(?:true|false|trace|debug|info|warn|warning|error|fatal|panic|json|text|k8s\.io|moby)\z")]
    private static partial Regex Word();
}
