using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

using Whistle.Actions.Contract;
using Whistle.Actions.Protocol;

using Xunit;

namespace Whistle.Tests.Actions;

public sealed class CertificateTests : IDisposable
{
    const string Check = "certificates.check";
    const string Renew = "certificates.renew";

    readonly ActionFixture _node = new();
    readonly DateTimeOffset _now;

    public CertificateTests()
    {
        _now = _node.Time.GetUtcNow();
        Write("pki/apiserver.crt", Pem("kube-apiserver", 10));
        Write("pki/apiserver.key", "the old key");
        Write("pki/etcd/server.crt", Pem("etcd", 200));
        Write("admin.conf", Kubeconfig(5));
        Write("kubelet.conf", "users:\n- user:\n    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem\n");
        _node.WritePolicy($$"""
            { "renewCertificates": { "names": ["apiserver", "admin.conf", "etcd-server", "etcd-peer"], "backupFolder": "{{Backups}}" } }
            """);
        // As kubeadm's, which writes what it did to its output.
        _node.WriteProgram("kubeadm", $$"""
            [ -f kubeadm.error ] && { cat kubeadm.error >&2; exit 1; }
            case "$3" in apiserver) cp new.crt {{_node.Kubernetes}}/pki/apiserver.crt;
              echo new > {{_node.Kubernetes}}/pki/apiserver.key;;
              admin.conf) cp new.conf {{_node.Kubernetes}}/admin.conf;; esac
            echo "certificate for serving the Kubernetes API renewed"
            """);
        _node.WriteForPrograms("new.crt", Pem("kube-apiserver", 365));
        _node.WriteForPrograms("new.conf", Kubeconfig(365));
    }

    string Backups => Path.Join(_node.Root, "backups");

    public void Dispose() => _node.Dispose();

    [Fact]
    public async Task The_certificates_of_kubeadm_are_listed_and_those_that_end_first_come_first()
    {
        var report = await _node.RunAsync(Check, """{ "within": "7d" }""");
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        Assert.StartsWith("1 of 3 certificates end within 7d", report.Summary, StringComparison.Ordinal);
        var listed = report.Output!.Value.GetProperty("certificates").EnumerateArray().ToList();
        Assert.Equal(
            ["admin.conf", "pki/apiserver.crt", "pki/etcd/server.crt"],
            listed.Select(c => Path.GetRelativePath(_node.Kubernetes, c.GetProperty("path").GetString()!)));
        Assert.Equal([5, 10, 200], listed.Select(c => c.GetProperty("daysLeft").GetDouble()));
        Assert.Equal("CN=kube-apiserver", listed[1].GetProperty("subject").GetString());
        Assert.Equal(
            (true, 1),
            (report.Output.Value.GetProperty("clockSynchronised").GetBoolean(), report.Output.Value.GetProperty("expiring").GetInt32()));
    }

    [Fact]
    public async Task The_policy_names_other_files_and_folders_and_what_cannot_be_read_is_told()
    {
        Write("chain.pem", Pem("leaf", 3) + "\n" + Pem("issuer", 4));
        Write("empty.pem", "nothing");
        _node.WritePolicy($$"""
            { "certificates": [ { "path": "{{_node.Kubernetes}}/chain.pem" }, { "path": "{{_node.Kubernetes}}/pki" },
                { "path": "{{_node.Kubernetes}}/empty.pem" }, { "path": "/no/such.pem" } ] }
            """);
        var output = (await _node.RunAsync(Check)).Output!.Value;
        Assert.Equal(
            ["CN=leaf", "CN=issuer", "CN=kube-apiserver", "CN=etcd"],
            output.GetProperty("certificates").EnumerateArray().Select(c => c.GetProperty("subject").GetString()));
        Assert.Equal(2, output.GetProperty("unreadable").GetArrayLength());
    }

    [Fact]
    public async Task By_a_clock_that_is_not_kept_nothing_is_concluded_and_nothing_renewed()
    {
        _node.ClockSynchronised = false;
        var report = await _node.RunAsync(Check);
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains("clock of this node is not synchronised", report.Summary, StringComparison.Ordinal);
        Assert.Equal(3, report.Output!.Value.GetProperty("certificates").GetArrayLength());
        Assert.DoesNotContain("daysLeft", report.Output.Value.GetRawText(), StringComparison.Ordinal);
        AssertRefused(await RenewAsync(), "not synchronised");
        Assert.Empty(_node.Calls("kubeadm"));
    }

    [Fact]
    public async Task A_certificate_of_the_future_means_a_clock_of_the_past()
    {
        Write("pki/apiserver.crt", Pem("kube-apiserver", 10, begins: 1));
        AssertRefused(await _node.RunAsync(Check), "is in the future");
        AssertRefused(await RenewAsync("\"apiserver\""), "is in the future");
    }

    [Fact]
    public async Task What_ends_soon_is_renewed_and_the_old_files_are_kept_for_root_alone()
    {
        var old = Read("pki/apiserver.crt");
        var report = await RenewAsync();
        Assert.True(report.Outcome == CommandOutcome.Succeeded, report.Summary);
        var output = report.Output!.Value;
        Assert.Equal(
            ["apiserver", "admin.conf"], output.GetProperty("renewed").EnumerateArray().Select(r => r.GetProperty("name").GetString()));
        Assert.All(
            output.GetProperty("renewed").EnumerateArray(),
            r => Assert.True(r.GetProperty("after").GetDateTimeOffset() > r.GetProperty("before").GetDateTimeOffset()));
        Assert.Equal(
            ("etcd-server", "etcd-peer"), (output.GetProperty("notDue")[0].GetString(), output.GetProperty("missing")[0].GetString()));
        Assert.Equal(["certs renew apiserver", "certs renew admin.conf"], _node.Calls("kubeadm"));

        var folder = output.GetProperty("backup").GetString()!;
        Assert.Equal(Path.Join(Backups, _now.ToString("yyyyMMdd'T'HHmmss'Z'", null)), folder);
        Assert.Equal(
            (old, "the old key"),
            (File.ReadAllText(Path.Join(folder, "pki/apiserver.crt")), File.ReadAllText(Path.Join(folder, "pki/apiserver.key"))));
        Assert.True(File.Exists(Path.Join(folder, "admin.conf")));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Join(folder, "pki/apiserver.key")));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
        }
    }

    [Fact]
    public async Task A_dry_run_says_which_and_touches_nothing()
    {
        var old = Read("pki/apiserver.crt");
        var report = await RenewAsync("\"apiserver\"", dryRun: true);
        Assert.StartsWith("Would renew 1 certificates", report.Summary, StringComparison.Ordinal);
        Assert.Equal((old, 0, false), (Read("pki/apiserver.crt"), _node.Begins, Directory.Exists(Backups)));
        Assert.Empty(_node.Calls("kubeadm"));
    }

    [Fact]
    public async Task The_first_that_goes_wrong_ends_it_in_the_words_of_kubeadm()
    {
        _node.WriteForPrograms("kubeadm.error", "error execution phase renew/apiserver: failed to load existing certificate\n"
            + "To see the stack trace of this error execute with --v=5 or higher");
        var report = await RenewAsync();
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("failed to load existing certificate", report.Summary, StringComparison.Ordinal);
        Assert.Contains(Backups, report.Summary, StringComparison.Ordinal);
        Assert.Single(_node.Calls("kubeadm"));
    }

    [Fact]
    public async Task One_that_ends_no_later_than_before_was_not_renewed()
    {
        _node.WriteForPrograms("new.crt", Pem("kube-apiserver", 10));
        var report = await RenewAsync("\"apiserver\"");
        Assert.Equal(CommandOutcome.Failed, report.Outcome);
        Assert.Contains("but it still ends on", report.Summary, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_policy_permit_or_a_known_name_nothing_is_renewed()
    {
        AssertRefused(await _node.RunAsync(Renew), "needs within");
        AssertRefused(await RenewAsync("\"scheduler.conf\""), "does not name scheduler.conf");
        _node.Begin = () => new BeginAnswer(false, 0, "frozen");
        AssertRefused(await RenewAsync(), "frozen");
        _node.WritePolicy("{}");
        AssertRefused(await RenewAsync(), "has no renewCertificates");
        Assert.Empty(_node.Calls("kubeadm"));
        Assert.False(Directory.Exists(Backups));
    }

    Task<ActionReport> RenewAsync(string? names = null, bool dryRun = false) =>
        _node.RunAsync(Renew, $$"""{ "within": "30d"{{(names is null ? "" : $", \"names\": [{names}]")}} }""", dryRun);

    static void AssertRefused(ActionReport report, string reason)
    {
        Assert.Equal(CommandOutcome.Refused, report.Outcome);
        Assert.Contains(reason, report.Summary, StringComparison.Ordinal);
    }

    void Write(string path, string content)
    {
        var full = Path.Join(_node.Kubernetes, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, content);
    }

    string Read(string path) => File.ReadAllText(Path.Join(_node.Kubernetes, path));

    string Kubeconfig(int days) =>
        "apiVersion: v1\nkind: Config\nusers:\n- name: kubernetes-admin\n  user:\n    client-certificate-data: "
        + $"{Convert.ToBase64String(Encoding.ASCII.GetBytes(Pem("kubernetes-admin", days)))}\n    client-key-data: AAAA\n";

    string Pem(string name, int days, int begins = -100)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256).CreateSelfSigned(
            _now.AddDays(begins), _now.AddDays(days));
        return certificate.ExportCertificatePem();
    }
}
