using Whistle.Commands;
using Whistle.Configuration;
using Whistle.Fixtures;

using Xunit;

namespace Whistle.Tests.Deployment;

/// <summary>What docker-compose.yml says, against what the program reads.</summary>
public sealed class ComposeTests : IDisposable
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-compose").FullName;
    readonly ComposeFile _file = new();

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Every_setting_is_one_that_the_program_reads_and_takes()
    {
        using var authority = new TestAuthority("compose");
        var leaf = authority.Sign("whistle");
        Write("database", "Host=postgres;Database=whistle;Username=whistle;Password=secret");
        Write("influx-token", "token");
        Write("ca.pem", authority.Certificate.ExportCertificatePem());
        Write("whistle.pem", leaf.ExportCertificatePem());
        Write("whistle.key", TestAuthority.KeyOf(leaf));
        foreach (var service in Whistle())
        {
            var environment = service.Environment.ToDictionary(
                p => p.Key, p => p.Value.StartsWith("/run/secrets/", StringComparison.Ordinal)
                    || p.Value.StartsWith("/certificates/", StringComparison.Ordinal)
                    ? Path.Combine(_folder, Path.GetFileName(p.Value)) : p.Value);
            environment["WHISTLE_DATA"] = _folder;

            var configuration = ServeConfiguration.Load(null, environment, []);

            Assert.Empty(configuration.Errors);
            Assert.Equal(service.Name.Split('-')[0], configuration.Options.Roles.ToString().ToLowerInvariant());
            Assert.True(configuration.Options is { UsesPostgreSql: true, InfluxDb: not null, Kafka.Brokers: not null, Agent: false });
        }

        void Write(string name, string text) => PrivateText.Write(Path.Combine(_folder, name), text);
    }

    [Fact]
    public void Every_role_runs_somewhere_and_those_that_may_be_many_twice()
    {
        var roles = Whistle().Select(s => s.Environment["WHISTLE_Roles"]).CountBy(r => r).ToDictionary();

        Assert.Equal(
            new Dictionary<string, int> { ["gateway"] = 2, ["detect"] = 2, ["remediate"] = 1, ["alert"] = 1, ["web"] = 1 }, roles);
    }

    [Fact]
    public void Every_image_has_a_tag_of_its_own_and_every_service_a_check_and_limits()
    {
        Assert.All(_file.Services, s =>
        {
            Assert.Matches(@"^[\w./-]+:(\d+\.\d+[\w.-]*|local)$", s.Image);
            if (s.Name == "certificates")
                return;
            Assert.Contains("healthcheck", s.Keys.Keys);
            Assert.Contains("restart", s.Keys.Keys);
            var limits = ComposeFile.Map(ComposeFile.Map(ComposeFile.Map(s.Keys["deploy"])["resources"])["limits"]);
            Assert.Equal(["cpus", "memory"], limits.Keys.Order());
            Assert.DoesNotContain("privileged", s.Keys.Keys);
            Assert.Contains("no-new-privileges:true", s.ListOf("security_opt"));
        });
        Assert.All(Whistle(), s =>
        {
            Assert.Equal("1654:1654", s.Keys["user"]);
            Assert.Equal("true", s.Keys["read_only"]);
            Assert.Equal(["ALL"], s.ListOf("cap_drop"));
        });
    }

    [Fact]
    public void What_is_checked_and_published_is_what_the_program_has()
    {
        var dockerfile = File.ReadAllLines(Path.Combine(Repository.Root, "Dockerfile"));
        Assert.Contains("EXPOSE 9443", dockerfile);
        Assert.Contains("USER 1654:1654", dockerfile);
        Assert.All(Whistle(), s =>
        {
            Assert.Equal("https://0.0.0.0:9443", s.Environment["WHISTLE_Listen"]);
            Assert.All(s.ListOf("ports"), p => Assert.EndsWith(":9443", p, StringComparison.Ordinal));
            var check = ComposeFile.List(ComposeFile.Map(s.Keys["healthcheck"])["test"]);
            Assert.Equal(["CMD", "/app/whistle"], check.Take(2));
            Assert.Empty(CommandLine.Build().Parse([.. check.Skip(2)]).Errors);
            Assert.Equal(s.Environment["WHISTLE_DATA"], check[^1]);
            Assert.Contains(s.ListOf("volumes"), v => v == $"{s.Name}:/data");
        });
    }

    [Fact]
    public void Everything_that_is_named_is_there()
    {
        var names = _file.Services.Select(s => s.Name).ToHashSet();
        Assert.All(_file.Services, s =>
        {
            Assert.Subset(_file.Secrets.ToHashSet(), s.ListOf("secrets").ToHashSet());
            Assert.All(s.ListOf("volumes").Select(v => v.Split(':')[0]), v => Assert.True(
                v.StartsWith('.') ? File.Exists(Path.Combine(Repository.Root, v)) : _file.Volumes.Contains(v), v));
            if (s.Keys.TryGetValue("depends_on", out var needs))
                Assert.Subset(names, ComposeFile.Map(needs).Keys.ToHashSet());
            // Each secret that a setting names is given to the service.
            Assert.All(
                s.Environment.Values.Where(v => v.StartsWith("/run/secrets/", StringComparison.Ordinal)),
                v => Assert.Contains(Path.GetFileName(v), s.ListOf("secrets")));
        });
        var used = _file.Services.SelectMany(s => s.ListOf("volumes")).Select(v => v.Split(':')[0]).ToHashSet();
        Assert.Empty(_file.Volumes.Except(used));
    }

    IEnumerable<ComposeService> Whistle() => _file.Services.Where(s => s.IsWhistle);
}
