using System.Collections.Frozen;

namespace Whistle.Actions.Policy;

/// <summary>
/// The files behind kubeadm's names for what <c>kubeadm certs renew</c> renews, below its folder. The first holds the certificate.
/// </summary>
static class KubeadmFiles
{
    static readonly FrozenDictionary<string, string[]> Files = new Dictionary<string, string[]>
    {
        ["admin.conf"] = ["admin.conf"],
        ["super-admin.conf"] = ["super-admin.conf"],
        ["controller-manager.conf"] = ["controller-manager.conf"],
        ["scheduler.conf"] = ["scheduler.conf"],
        ["apiserver"] = Pair("pki/apiserver"),
        ["apiserver-etcd-client"] = Pair("pki/apiserver-etcd-client"),
        ["apiserver-kubelet-client"] = Pair("pki/apiserver-kubelet-client"),
        ["front-proxy-client"] = Pair("pki/front-proxy-client"),
        ["etcd-healthcheck-client"] = Pair("pki/etcd/healthcheck-client"),
        ["etcd-peer"] = Pair("pki/etcd/peer"),
        ["etcd-server"] = Pair("pki/etcd/server"),
    }.ToFrozenDictionary();

    public static IEnumerable<string> Names => Files.Keys.Order(StringComparer.Ordinal);

    public static bool Knows(string name) => Files.ContainsKey(name);

    /// <summary>Relative to kubeadm's folder.</summary>
    public static IReadOnlyList<string> Of(string name) => Files[name];

    static string[] Pair(string path) => [path + ".crt", path + ".key"];
}
