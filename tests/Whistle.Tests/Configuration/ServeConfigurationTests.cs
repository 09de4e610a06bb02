using Whistle.Actions.Policy;
using Whistle.Alerting;
using Whistle.Alerting.Configuration;
using Whistle.Alerting.Mail;
using Whistle.Alerting.PagerDuty;
using Whistle.Configuration;
using Whistle.Fixtures;
using Whistle.Oidc;

using Xunit;

namespace Whistle.Tests.Configuration;

public sealed class ServeConfigurationTests : IDisposable
{
    const string Secret = "s3cr3t-of-32-characters-for-none";

    readonly string _folder = Directory.CreateTempSubdirectory("whistle-settings-").FullName;
    readonly Dictionary<string, string> _environment = [];
    readonly SettingsLayer _commandLine = [];

    public ServeConfigurationTests() => Option("--data", "DataFolder", _folder);

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Nothing_given_is_the_defaults()
    {
        var configuration = Load();

        Assert.Empty(configuration.Errors);
        Assert.Null(configuration.File);
        Assert.Equal([WhistleOptions.UsualAddress], configuration.Options.Listen);
        Assert.Equal(NodePolicy.DefaultFile, configuration.Options.AgentPolicyFile);
        Assert.Empty(configuration.Options.Alerting.Channels);
    }

    [Fact]
    public void A_folder_in_place_of_the_file_is_an_error()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "appsettings.json"));
        Assert.Contains("appsettings.json: is not a plain file", Assert.Single(Load().Errors), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_key_reaches_its_option()
    {
        var (key, password) = (Write("key", Secret), Write("password", "p"));
        var policy = Write("policy.json", "{}");
        Directory.CreateDirectory(Path.Combine(_folder, "mine"));
        Write("appsettings.json", $$"""
            {
              // Comments and trailing commas are taken, as .NET does.
              "Listen": "http://127.0.0.1:1", "Retention": "30d", "MaxSeriesPerTenant": 7, "MaxNewSeriesPerHour": 8,
              "MaxStoredSeriesPerTenant": 9, "MaxClustersPerTenant": 10, "Queries": { "MaxSeriesInAnswer": 10, "MaxTextsInAnswer": 11 },
              "Agent": false, "AgentInterval": "5s", "AgentPolicyFile": "policy.json",
              "Rules": ["mine"], "Runbooks": "mine",
              "Disk": { "MinFree": "1GiB", "StateReserve": "32MiB", "DropOldest": false, "KeepAtLeast": "3d" },
              "Memory": { "WriteBodies": "1MiB", "PendingSamples": "2MiB", "OtherBodies": "3MiB",
                  "Queries": "4MiB", "SeriesLabels": "5120KiB" },
              "LogIn": { "WrongBeforeLock": 3, "LockedFor": "5m", "FailuresFromAddress": 4, "FailureWindow": "6m", "HashesAtOnce": 7,
                  "HashesWaiting": 8, "RequireSecondFactor": true },
              "Oidc": { "Authority": "https://login.example.com", "ClientId": "whistle", "Roles": ["ops=admin"], "LogOutThere": false },
              "Incidents": { "ClearFor": "00:01:30", "ReopenWithin": "2h" },
              "Alerting": {
                "CriticalDeadline": "1m", "WarningDeadline": "1h30m", "RecoveryPatience": "0", "JoinInterval": "3m",
                "DigestAfter": "4m", "Retention": "1.12:00:00",
                "Address": "https://whistle.example.com",
                "PagerDuty": { "Address": "https://pd.example.com", "RoutingKeyFile": "key", "Timeout": "9s", "CallsPerMinute": 60 },
                "Mail": {
                  "Host": "smtp.example.com", "Port": 465, "Security": "tls", "User": "u", "PasswordFile": "{{password}}",
                  "From": "Whistle <w@example.com>",
                  "To": ["a@example.com", "b@example.com"], "TicketsTo": ["c@example.com"], "DigestTo": ["d@example.com"], "Timeout": "8s",
                },
              },
            }
            """);
        var configuration = Load();

        Assert.Empty(configuration.Errors);
        var options = configuration.Options;
        Assert.Equal(Path.Combine(_folder, "appsettings.json"), configuration.File);
        Assert.Equal(
            ("http://127.0.0.1:1/", TimeSpan.FromDays(30), 7, false),
            (Assert.Single(options.Listen).ToString(), options.Retention, options.MaxSeriesPerTenant, options.Agent));
        Assert.Equal(
            (8, 9, 10), (options.MaxNewSeriesPerHour, options.MaxStoredSeriesPerTenant, options.Enrolment.MaxClustersPerTenant));
        Assert.Equal((10, 11), (options.Searches.MaxSeries, options.Searches.MaxTexts));
        Assert.Equal((TimeSpan.FromSeconds(5), policy), (options.AgentInterval, options.AgentPolicyFile));
        Assert.Equal([Path.Combine(_folder, "mine")], options.Rules);
        Assert.Equal([Path.Combine(_folder, "mine")], options.Runbooks);
        Assert.Equal(
            new() { MinFree = 1L << 30, StateReserve = 32L << 20, DropOldest = false, KeepAtLeast = TimeSpan.FromDays(3) }, options.Disk);
        Assert.Equal(
            new()
            { WriteBodies = 1L << 20, PendingSamples = 2L << 20, OtherBodies = 3L << 20, Queries = 4L << 20, SeriesLabels = 5L << 20 },
            options.Memory);
        Assert.Equal(
            new()
            {
                WrongBeforeLock = 3,
                LockedFor = TimeSpan.FromMinutes(5),
                FailuresFromAddress = 4,
                FailureWindow = TimeSpan.FromMinutes(6),
                HashesAtOnce = 7,
                HashesWaiting = 8,
                RequireSecondFactor = true,
            },
            options.LogIn);
        Assert.Equal(
            (new Uri("https://login.example.com"), "whistle", false),
            (options.Oidc.Authority, options.Oidc.ClientId, options.Oidc.LogOutThere));
        Assert.True(new OidcOptions().LogOutThere);
        Assert.Equal(new() { ClearFor = TimeSpan.FromSeconds(90), ReopenWithin = TimeSpan.FromHours(2) }, options.Incidents);
        var alerting = options.Alerting;
        Assert.Equal(
            new AlertingOptions
            {
                CriticalDeadline = TimeSpan.FromMinutes(1),
                WarningDeadline = TimeSpan.FromMinutes(90),
                RecoveryPatience = TimeSpan.Zero,
                JoinInterval = TimeSpan.FromMinutes(3),
                DigestAfter = TimeSpan.FromMinutes(4),
                Retention = TimeSpan.FromHours(36),
                Address = new("https://whistle.example.com"),
            },
            alerting with { Channels = [] });
        Assert.Equal(
            new PagerDutyOptions
            { Address = new("https://pd.example.com"), RoutingKeyFile = key, Timeout = TimeSpan.FromSeconds(9), CallsPerMinute = 60 },
            alerting.Channels[0]);
        var mail = Assert.IsType<MailOptions>(alerting.Channels[1]);
        Assert.Equal(
            ("smtp.example.com", 465, MailSecurity.Tls, "u", password),
            (mail.Host, mail.Port, mail.Security, mail.User, mail.PasswordFile));
        Assert.Equal(("Whistle <w@example.com>", TimeSpan.FromSeconds(8)), (mail.From, mail.Timeout));
        Assert.Equal(
            ["a@example.com", "b@example.com", "c@example.com", "d@example.com"], [.. mail.To, .. mail.TicketsTo, .. mail.DigestTo]);
    }

    [Fact]
    public void The_command_line_counts_more_than_the_environment_and_that_more_than_the_file()
    {
        Write("appsettings.json", """{ "Listen": "http://127.0.0.1:1", "Retention": "2d", "AgentInterval": "2s" }""");
        _environment["WHISTLE_LISTEN"] = "http://127.0.0.1:2";
        _environment["WHISTLE_Retention"] = "3d";
        _environment["WHISTLE_AgentInterval"] = "";
        Option("--listen", "Listen", "http://127.0.0.1:3");
        var options = LoadWell();

        Assert.Equal(3, Assert.Single(options.Listen).Port);
        Assert.Equal((TimeSpan.FromDays(3), TimeSpan.FromSeconds(2)), (options.Retention, options.AgentInterval));
    }

    [Fact]
    public void A_list_comes_whole_from_the_last_that_gives_any_of_it()
    {
        string[] names = ["a", "b", "c"];
        string[] folders = [.. names.Select(n => Directory.CreateDirectory(Path.Combine(_folder, n)).FullName)];
        Write("appsettings.json", """{ "Rules": ["a", "b"], "Runbooks": ["a", "b"] }""");
        _environment["WHISTLE_Rules__0"] = folders[2];
        _environment["WHISTLE_Runbooks__1"] = folders[1];
        _environment["WHISTLE_Runbooks__0"] = folders[2];
        Option("--runbooks", "Runbooks:0", folders[0]);
        var options = LoadWell();

        Assert.Equal([folders[2]], options.Rules);
        Assert.Equal([folders[0]], options.Runbooks);
    }

    [Fact]
    public void The_variables_of_before_go_on_working_and_those_of_others_do_not_disturb()
    {
        _commandLine.Clear();
        _environment["WHISTLE_DATA"] = _folder;
        _environment["WHISTLE_SERVER"] = "http://127.0.0.1:1";
        _environment["WHISTLE_TEST_REQUIRE"] = "all";
        _environment["WHISTLE_AGENT_TOKEN_FILE"] = "/none";
        // Set by Kubernetes beside a service that is named whistle.
        _environment["WHISTLE_PORT"] = "tcp://10.0.0.1:9480";
        _environment["WHISTLE_SERVICE_HOST"] = "10.0.0.1";
        Write("appsettings.json", """{ "Retention": "2d" }""");
        var options = LoadWell();

        Assert.Equal((_folder, TimeSpan.FromDays(2)), (options.DataFolder, options.Retention));
    }

    [Fact]
    public void A_file_that_is_named_stands_for_the_one_in_the_data_folder_and_may_name_that_folder()
    {
        _commandLine.Clear();
        Write("appsettings.json", "{ broken");
        var file = Write("my.json", """{ "DataFolder": "data" }""");

        Assert.Equal(Path.Combine(_folder, "data"), LoadWell(file).DataFolder);
    }

    [Fact]
    public void All_mistakes_come_at_once_each_with_its_place_its_value_and_its_mend()
    {
        Write("appsettings.json", $$"""
            {
              "Colour": "red",
              "DataFolder": "/elsewhere",
              "Listen": "ftp://127.0.0.1", "listen": "http://127.0.0.1:1",
              "Retention": "24:00:00",
              "Agent": "yes",
              "Rules": [{ "a": 1 }, "none"],
              "Incidents": "x",
              "LogIn": { "WrongBeforeLock": 2, "LockedFor": "2d", "HashesAtOnce": 0 },
              "Alerting": {
                "CriticalDeadline": "2 minutes", "Address": "https://u:{{Secret}}@example.com",
                "PagerDuty": { "RoutingKeyFile": "{{Secret}}", "RoutingKeey": "{{Secret}}", "Address": "http://pd.example.com" },
                "Mail": { "Port": "many", "Security": "Startls", "To": ["ops"], "Host": { "a": 1 }, "PasswordFile": "/none/password" }
              }
            }
            """);
        _environment["WHISTLE_Alerting__Mail__Form"] = "x";
        _environment["WHISTLE_Alerting_Mail_From"] = "x";
        _environment["WHISTLE_INCIDENTS__REOPENWITHIN"] = "soon";
        Option("--max-series", "MaxSeriesPerTenant", "0");
        string file = Path.Combine(_folder, "appsettings.json");
        string[] starts =
        [
            $"{file}:2: Colour: there is no key Colour. There are DataFolder, Listen, ",
            $"{file}:3: DataFolder: a file in the data folder cannot name the data folder. Use --data",
            $"{file}:4: listen: this key is in the file twice.",
            $"{file}:4: Listen: \"ftp://127.0.0.1\" is not an http or https address. Write it like https://",
            $"{file}:5: Retention: \"24:00:00\" is not a duration. Write it like 30s",
            $"{file}:6: Agent: \"yes\" is neither true nor false.",
            $"{file}:7: Rules:0:a: Rules is a list of texts.",
            $"{file}:7: Rules:1: {_folder}/none is neither a folder nor a file. Make it",
            $"{file}:8: Incidents: Incidents is a section, with the keys ClearFor, ReopenWithin.",
            $"{file}:9: LogIn:WrongBeforeLock: 2 is not between 3 and 100.",
            $"{file}:9: LogIn:LockedFor: 2.00:00:00 is not between a minute and a day. Write it like 15m.",
            $"{file}:9: LogIn:HashesAtOnce: 0 is not between 1 and 64.",
            $"{file}:11: Alerting:CriticalDeadline: \"2 minutes\" is not a duration.",
            $"{file}:11: Alerting:Address: an address takes no user or password.",
            $"{file}:12: Alerting:PagerDuty:RoutingKeyFile: there is no such file; its name is not shown",
            $"{file}:12: Alerting:PagerDuty:RoutingKeey: there is no key RoutingKeey in Alerting:PagerDuty. "
            + "There are RoutingKey, RoutingKeyFile, ",
            $"{file}:12: Alerting:PagerDuty:Address: plain http to pd.example.com would show the routing key to the network. Use https.",
            $"{file}:13: Alerting:Mail:Port: \"many\" is not a whole number.",
            $"{file}:13: Alerting:Mail:Security: \"Startls\" is none of StartTls, Tls, None.",
            $"{file}:13: Alerting:Mail:To:0: \"ops\" is not a mail address. Write it like ops@example.com.",
            $"{file}:13: Alerting:Mail:Host:a: Host is one value, not a section or a list.",
            $"{file}:13: Alerting:Mail:PasswordFile: the file /none/password does not exist.",
            "Alerting:Mail:Host: the mail server is missing. Name it",
            "Alerting:Mail:From: the sender is missing.",
            "Alerting:Mail:User: there is a password and no user.",
            "WHISTLE_Alerting__Mail__Form: there is no key Form in Alerting:Mail.",
            "WHISTLE_Alerting_Mail_From: sections and keys are joined by two underscores.",
            "WHISTLE_INCIDENTS__REOPENWITHIN: \"soon\" is not a duration.",
            "--max-series: 0 is less than 1.",
        ];
        var errors = Load().Errors;

        Assert.All(starts, start => Assert.Single(errors, e => e.StartsWith(start, StringComparison.Ordinal)));
        Assert.Equal(starts.Length, errors.Count);
        Assert.DoesNotContain(errors, e => e.Contains(Secret, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{ "Alerting": { "Mail": [] } }""", "Alerting:Mail: Alerting:Mail is a section, with the keys ")]
    [InlineData("""{ "Retention": [] }""", "Retention: Retention is one value, not a section or a list.")]
    [InlineData("""{ "Retention": {} }""", "Retention: Retention is one value, not a section or a list.")]
    [InlineData("""{ "Rules": {} }""", "Rules: Rules is a list of texts.")]
    [InlineData("""{ "Colour": {} }""", "Colour: there is no key Colour.")]
    [InlineData("""{ "Alerting": { "Mail": {} }, "alerting": {} }""", "alerting: this key is in the file twice.")]
    [InlineData("""{ "Retention": "1d", "retention": {} }""", "retention: this key is in the file twice.")]
    [InlineData("""{ "Retention": {}, "retention": "1d" }""", "retention: this key is in the file twice.")]
    public void A_list_or_section_without_content_is_refused_where_it_is_none(string json, string start)
    {
        var file = Write("my.json", json);

        Assert.Contains(Load(file).Errors, e => e.StartsWith($"{file}:1: {start}", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("{\n  \"Retention\": \"2d\",\n  \"Listen\"\n}", ":4:1: not valid JSON: ")]
    [InlineData("[]", ":1: must be a JSON object")]
    [InlineData("{}\n{}", ":2:1: not valid JSON: ")]
    [InlineData("", ":1:1: not valid JSON: ")]
    [InlineData("{ \"Listen\": \"\\ud800\" }", ":1: ")]
    [InlineData("{ \"Rules\": [\"a\\u0000\"] }", ":1: Rules:0: no value has the character 0 in it.")]
    public void A_file_that_is_no_JSON_says_where(string text, string start)
    {
        var file = Write("my.json", text);

        Assert.StartsWith(file + start, Assert.Single(Load(file).Errors), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_others_could_have_written_is_not_read()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Who may write a file is looked at on Linux.");
        var file = Write("appsettings.json", """{ "Retention": "30d" }""");
        if (OperatingSystem.IsLinux())
            File.SetUnixFileMode(file, File.GetUnixFileMode(file) | UnixFileMode.OtherWrite);

        Assert.Equal(
            $"{file}: is not read, because others could change it. {file} can be written by others (0602). "
            + $"Look at what it holds; then use: chmod go-w {file}",
            Assert.Single(Load().Errors));
    }

    [Fact]
    public void A_file_that_is_not_there_says_so() =>
        Assert.StartsWith(
            $"{_folder}/none.json: cannot be read: ", Assert.Single(Load(Path.Combine(_folder, "none.json")).Errors),
            StringComparison.Ordinal);

    [Theory]
    [InlineData("", "is empty")]
    [InlineData(null, "does not exist")]
    public void A_file_of_a_secret_must_hold_one(string? content, string reason)
    {
        var key = Path.Combine(_folder, "key");
        if (content is not null)
            Write("key", content);
        _environment["WHISTLE_Alerting__PagerDuty__RoutingKeyFile"] = key;

        Assert.StartsWith(
            $"WHISTLE_Alerting__PagerDuty__RoutingKeyFile: the file {key} {reason}", Assert.Single(Load().Errors),
            StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_secret_and_its_file_the_later_counts_and_none_of_it_is_ever_printed()
    {
        Write("key", new string('f', 32));
        Write(
            "appsettings.json",
            """
            {
              "Alerting": {
                "PagerDuty": { "RoutingKeyFile": "key" },
                "Mail": { "Host": "h", "From": "a@b.c", "To": "a@b.c", "User": "u" }
              }
            }
            """);
        _environment["WHISTLE_Alerting__PagerDuty__RoutingKey"] = Secret;
        _environment["WHISTLE_Alerting__Mail__Password"] = Secret;
        var alerting = LoadWell().Alerting;

        var pagerDuty = Assert.IsType<PagerDutyOptions>(alerting.Channels[0]);
        Assert.Equal((Secret, null), (pagerDuty.RoutingKey, pagerDuty.RoutingKeyFile));
        Assert.DoesNotContain(Secret, alerting.ToString(), StringComparison.Ordinal);
        Assert.All(alerting.Channels, c => Assert.DoesNotContain(Secret, c.ToString(), StringComparison.Ordinal));
        Assert.DoesNotContain(Secret, new WhistleOptions { Alerting = alerting }.ToString(), StringComparison.Ordinal);
    }

    ServeConfiguration Load(string? file = null) => ServeConfiguration.Load(file, _environment, _commandLine);

    WhistleOptions LoadWell(string? file = null)
    {
        var configuration = Load(file);
        Assert.Empty(configuration.Errors);
        return configuration.Options;
    }

    void Option(string name, string key, string value) => _commandLine[key] = new(value, name, _folder);

    string Write(string name, string text)
    {
        var file = Path.Combine(_folder, name);
        return PrivateText.Write(file, text);
    }
}
