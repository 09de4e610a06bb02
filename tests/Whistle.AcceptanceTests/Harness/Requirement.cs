using System.ComponentModel;
using System.Diagnostics;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Parts of a machine that a test needs. A missing part skips the test with the reason; with
/// <c>WHISTLE_TEST_REQUIRE=all</c> it fails it.
/// </summary>
static class Requirement
{
    public static void Root() => Check(Environment.UserName == "root", "root, to mount file systems");

    /// <summary>Root, and what makes network namespaces.</summary>
    public static void Namespaces()
    {
        Root();
        Check(File.Exists("/usr/sbin/ip") || File.Exists("/sbin/ip"), "ip (Debian's iproute2)");
    }

    /// <summary>Root with loop devices and ext4.</summary>
    public static void LoopDevice()
    {
        Root();
        Check(File.Exists("/dev/loop-control"), "loop devices (/dev/loop-control)");
        Check(File.Exists("/sbin/mkfs.ext4") || File.Exists("/usr/sbin/mkfs.ext4"), "mkfs.ext4 (Debian's e2fsprogs)");
    }

    /// <summary>Root, a journald to start and what it takes to give it mounts of its own; its path.</summary>
    public static string Journald()
    {
        Root();
        Check(File.Exists("/usr/bin/unshare") && File.Exists("/usr/bin/nsenter"), "unshare and nsenter (Debian's util-linux)");
        Check(File.Exists("/usr/bin/journalctl") && File.Exists("/etc/machine-id"), "journalctl and a machine id (Debian's systemd)");
        const string journald = "/lib/systemd/systemd-journald";
        Check(File.Exists(journald), $"{journald} (Debian's systemd)");
        return journald;
    }

    /// <summary>Prometheus 3.5 or newer: the path in <c>WHISTLE_TEST_PROMETHEUS</c>.</summary>
    public static string Prometheus() => Program("WHISTLE_TEST_PROMETHEUS");

    /// <summary>promtool, from the folder of the Prometheus in <c>WHISTLE_TEST_PROMETHEUS</c>.</summary>
    public static string Promtool()
    {
        var path = Path.Combine(Path.GetDirectoryName(Prometheus())!, "promtool");
        Check(File.Exists(path), "promtool (Debian: promtool) beside the program in WHISTLE_TEST_PROMETHEUS");
        return path;
    }

    public static string VictoriaMetrics() => Program("WHISTLE_TEST_VICTORIAMETRICS");

    public static string InfluxDb() => Program("WHISTLE_TEST_INFLUXD");

    public static string NodeExporter() => Program("WHISTLE_TEST_NODE_EXPORTER");

    /// <summary>The folder in <c>WHISTLE_TEST_POSTGRES</c>, with <c>initdb</c> and <c>postgres</c>.</summary>
    public static string PostgreSql()
    {
        var folder = Environment.GetEnvironmentVariable("WHISTLE_TEST_POSTGRES") ?? "";
        Check(
            File.Exists(Path.Combine(folder, "initdb")) && File.Exists(Path.Combine(folder, "postgres")),
            "PostgreSQL's initdb and postgres (Debian: postgresql), whose folder is in WHISTLE_TEST_POSTGRES");
        return folder;
    }

    /// <summary>A Python that has aiosmtpd: the path in <c>WHISTLE_TEST_PYTHON</c>, or the one in the path.</summary>
    public static string AiosmtpdPython()
    {
        var path = Environment.GetEnvironmentVariable("WHISTLE_TEST_PYTHON") ?? "python3";
        Check(HasAiosmtpd(path), "a Python with the module aiosmtpd (Debian: python3-aiosmtpd), whose path is in WHISTLE_TEST_PYTHON");
        return path;
    }

    /// <summary>node, and the folder in <c>WHISTLE_TEST_OIDC</c> into which npm has installed oidc-provider.</summary>
    public static string OidcProvider()
    {
        var folder = Environment.GetEnvironmentVariable("WHISTLE_TEST_OIDC") ?? "";
        Check(
            Directory.Exists(Path.Combine(folder, "node_modules", "oidc-provider")),
            "npm's oidc-provider (npm install oidc-provider), whose folder is in WHISTLE_TEST_OIDC");
        return folder;
    }

    /// <summary>
    /// The folder of PrometheusRule manifests beside the repository, or that in <c>WHISTLE_TEST_SHARED_RULES</c>. They are no part of the
    /// machine, so without them the test is skipped in any case.
    /// </summary>
    public static string SharedRules()
    {
        var folder = Environment.GetEnvironmentVariable("WHISTLE_TEST_SHARED_RULES") ?? BesideRepository("shared/data/prometheus-rules");
        Assert.SkipUnless(
            Directory.Exists(folder), "There are no ../shared/data/prometheus-rules, and WHISTLE_TEST_SHARED_RULES names no other folder.");
        return folder;
    }

    static string BesideRepository(string path)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Whistle.sln")))
            folder = folder.Parent;
        return Path.Combine(folder?.Parent?.FullName ?? "", path);
    }

    static bool HasAiosmtpd(string python)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(python, ["-c", "import aiosmtpd"]) { RedirectStandardError = true })!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }

    static string Program(string variable)
    {
        var path = Environment.GetEnvironmentVariable(variable);
        Check(File.Exists(path), $"a program whose path is in {variable}");
        return path!;
    }

    static void Check(bool present, string what)
    {
        if (present)
            return;
        if (Environment.GetEnvironmentVariable("WHISTLE_TEST_REQUIRE") == "all")
            Assert.Fail($"This machine lacks {what}.");
        Assert.Skip($"This machine lacks {what}.");
    }
}
