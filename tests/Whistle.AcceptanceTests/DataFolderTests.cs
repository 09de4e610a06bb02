using System.Text.RegularExpressions;

using Whistle.Fixtures;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>
/// Root's server believes nothing that somebody else could have put into its data folder, and what it makes is for its user alone.
/// </summary>
public sealed partial class DataFolderTests : IDisposable
{
    const int Stranger = 4711;

    readonly string _base = Directory.CreateTempSubdirectory("whistle-folder").FullName;

    public DataFolderTests() => Requirement.Root();

    static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    string Above => Path.Combine(_base, "above");

    string Folder => Path.Combine(Above, "data");

    public void Dispose() => Shell.Run($"rm -rf '{_base}'");

    [Theory]
    [InlineData("chmod 0777 $D")]
    [InlineData("chmod 0770 $D")]
    [InlineData("chmod 1777 $D")]
    [InlineData("chown 4711 $D")]
    [InlineData("chmod 0777 $A")]
    [InlineData("chmod 0775 $A")]
    [InlineData("chown 4711 $A")]
    [InlineData("chown 4711 $D/token")]
    [InlineData("chmod 0666 $D/token")]
    [InlineData("chmod 0644 $D/token")]
    [InlineData("chmod 0640 $D/token")]
    [InlineData("chmod 0644 $D/instance")]
    [InlineData("mv $D/token $A/mine; ln -s $A/mine $D/token")]
    [InlineData("ln -s /nowhere $D/agent")]
    [InlineData("rm -r $D/keys; mkdir $A/mine; chown 4711 $A/mine; ln -s $A/mine $D/keys")]
    [InlineData("chown -R 4711 $D/keys")]
    [InlineData("chmod 0777 $D/keys")]
    [InlineData("chmod 0666 $D/keys/*.xml")]
    [InlineData("ln $D/token $A/another")]
    [InlineData("ln $D/state.sqlite $A/another")]
    [InlineData("ln $D/keys/*.xml $A/another")]
    [InlineData("rm $D/token; mkfifo $D/token")]
    [InlineData("mkfifo $D/telemetry/pipe")]
    [InlineData("rm $D/server.lock; ln -s $A/elsewhere $D/server.lock")]
    [InlineData("rm $D/server.lock; mkfifo $D/server.lock")]
    [InlineData("rm $D/server.lock; mkdir $D/server.lock")]
    [InlineData("ln $D/server.lock $A/another")]
    [InlineData("chown 4711 $D/server.lock")]
    [InlineData("chmod 0666 $D/server.lock")]
    [InlineData("chown 4711 $D/state.sqlite")]
    [InlineData("chmod 0666 $D/state.sqlite")]
    [InlineData("chmod 0777 $D/telemetry")]
    [InlineData("chown 4711 $D/telemetry/hot.duckdb")]
    [InlineData("mv $D/telemetry $A/t; ln -s $A/t $D/telemetry")]
    [InlineData("touch $D/unknown; chown 4711 $D/unknown")]
    [InlineData("echo '{}' > $D/appsettings.json; chown 4711 $D/appsettings.json")]
    public async Task A_start_is_refused_where_others_could_have_put_something_and_the_named_commands_are_enough(string fault)
    {
        await MakeAsync();
        Run(fault);
        var refusal = (await Assert.ThrowsAsync<StartException>(StartAsync)).Message;
        Assert.Contains(Above, refusal, StringComparison.Ordinal);

        // A fault may hide another, and each is named with its command.
        for (var i = 0; i < 6; i++)
        {
            var command = Command().Match(refusal);
            Assert.True(command.Success, refusal);
            Shell.Run(command.Groups[1].Value);
            try
            {
                await StartAsync();
                return;
            }
            catch (StartException e)
            {
                Assert.NotEqual(refusal, e.Message);
                refusal = e.Message;
            }
        }

        Assert.Fail(refusal);
    }

    [Fact]
    public async Task A_folder_above_that_others_may_write_does_where_only_owners_can_exchange_names()
    {
        await MakeAsync();
        Run("chmod 1777 $A; ln -s data $A/link");
        await using var server = await InProcessServer.StartAsync(Cancellation, Path.Combine(Above, "link"));
        await server.Http.GetStringAsync("api/whistle/v1/incidents", Cancellation);
    }

    [Fact]
    public async Task What_an_older_version_left_open_to_readers_is_closed_and_said_and_still_read()
    {
        await MakeAsync();
        Run("chmod 0755 $D $D/telemetry $D/telemetry/sealed $D/keys; chmod 0644 $D/state.sqlite $D/telemetry/hot.duckdb $D/keys/*.xml; "
            + "mkdir -p -m 0755 $D/agent/buffer; touch $D/agent/buffer/series; chmod 0644 $D/agent/buffer/series");
        await using var server = new ServerProcess(Folder, "--no-agent");
        await server.StartAsync(Cancellation);

        var said = Assert.Single(server.Output, l => l.Contains("Closed to other users", StringComparison.Ordinal));
        Assert.Contains($"{Folder} (0755)", said, StringComparison.Ordinal);
        Assert.Empty(OpenToOthers());
    }

    [Fact]
    public async Task All_that_a_server_with_its_agent_makes_is_for_its_user_alone()
    {
        await using (var server = new ServerProcess(Folder, "--interval", "1"))
        {
            await server.StartAsync(Cancellation);
            await server.Http.PutAsync(
                "api/whistle/v1/kill-switch", new StringContent("""{"on":true,"reason":"x"}""", null, "application/json"), Cancellation);
            while (!(await server.Http.GetStringAsync("api/v1/query?query=whistle_agent_info", Cancellation)).Contains(
                "\"local\"", StringComparison.Ordinal))
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, Cancellation);
            await server.Http.PostAsync("api/whistle/v1/login-links", null, Cancellation);
            Assert.Empty(OpenToOthers());
        }

        Assert.Equal("", Shell.Run($"find '{Folder}' -perm /077"));
        Assert.True(File.Exists(Path.Combine(Folder, "agent", "token")));
    }

    [Fact]
    public void A_token_that_the_command_line_writes_into_a_file_is_for_its_owner_alone()
    {
        var whistle = Path.Combine(
            new DirectoryInfo(AppContext.BaseDirectory).Parent!.Parent!.FullName, "Whistle",
            new DirectoryInfo(AppContext.BaseDirectory).Name, "whistle.dll");
        var file = Path.Combine(_base, "node.token");
        Shell.Run($"umask 022; dotnet '{whistle}' agents add --offline --data '{Folder}' --cluster c --node n > '{file}'");

        Assert.StartsWith("wst_", File.ReadAllText(file), StringComparison.Ordinal);
        Assert.Equal("600", Shell.Mode(file));
        Assert.Empty(OpenToOthers());
    }

    [Fact]
    public async Task Another_users_folder_serves_that_user_and_not_root()
    {
        Shell.Run($"chmod 0755 '{_base}'; install -d -o {Stranger} -g {Stranger} -m 0700 '{Above}' '{Folder}'");
        var refusal = await Assert.ThrowsAsync<StartException>(StartAsync);
        Assert.Contains($"uid {Stranger}", refusal.Message, StringComparison.Ordinal);

        var theirs = Whistle($"agents add --offline --data '{Folder}' --cluster c --node n");
        Assert.Equal((0, true), (theirs.Exit, theirs.Output.Contains("\nwst_", StringComparison.Ordinal)));

        // What root put there they cannot read, and they are told.
        Shell.Run($"rm -rf '{Folder}'/*; install -o root -m 0600 /dev/null '{Folder}/token'");
        var unread = Whistle($"serve --no-agent --data '{Folder}' --listen http://127.0.0.1:0");
        Assert.Equal(1, unread.Exit);
        Assert.Contains($"{Folder}/token cannot be read by uid {Stranger}", unread.Output, StringComparison.Ordinal);
        var placed = Whistle($"agents list --data '{Folder}'", $"WHISTLE_DatabaseFile='{Folder}/token'");
        Assert.Equal(2, placed.Exit);
        Assert.Contains($"{Folder}/token cannot be read by uid {Stranger}", placed.Output, StringComparison.Ordinal);
    }

    [Fact(Timeout = 60_000)]
    public async Task An_agent_refuses_a_buffer_that_others_may_write_and_closes_one_that_they_could_read()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var token = PrivateText.Write(Path.Combine(_base, "token"), "wst_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        var buffer = Path.Combine(_base, "buffer");
        Shell.Run($"mkdir -m 0777 '{buffer}'; chmod 0644 '{token}'");
        string[] arguments = ["run", "--server", "http://127.0.0.1:1", "--token-file", token, "--buffer", buffer, "--no-commands"];
        using (var refused = ChildProcess.StartProject("Whistle.Agent", "whistle-agent.dll", arguments))
        {
            using var kill = cancellation.Register(refused.Kill);
            await refused.WaitForExitAsync(CancellationToken.None);
            Assert.Equal(1, refused.ExitCode);
        }

        Shell.Run($"chmod 0755 '{buffer}'");
        using var agent = ChildProcess.StartProject("Whistle.Agent", "whistle-agent.dll", arguments);
        await agent.UntilAsync(_ => Task.FromResult(Directory.GetFiles(buffer, "*.reports").Length > 0), cancellation);
        Assert.Equal("600", Shell.Mode(token));
        Assert.Equal("", Shell.Run($"find '{buffer}' -perm /077"));
        await agent.KillAndWaitAsync();
    }

    // A folder with one of everything.
    async Task MakeAsync()
    {
        Directory.CreateDirectory(Above);
        await using var server = await InProcessServer.StartAsync(Cancellation, Folder);
        using var browser = new HttpClient();
        await browser.GetStringAsync(server.App.LoginLink(), Cancellation);
        Shell.Run($"chmod 0755 '{Above}'");
        // On a machine whose user has another umask the folder above would be closed already.
        Assert.Equal("755", Shell.Mode(Above));
        Assert.NotEmpty(Directory.GetFiles(Path.Combine(Folder, "keys"), "*.xml"));
    }

    // Not left running: what is asked is whether it may.
    async Task StartAsync()
    {
        var options = new WhistleOptions
        {
            DataFolder = Folder,
            Listen = [new("http://127.0.0.1:0")],
            Agent = false,
            LeastLogged = Microsoft.Extensions.Logging.LogLevel.None,
        };
        await (await WhistleApp.OpenAsync(options, Cancellation)).DisposeAsync();
    }

    void Run(string command) => Shell.Run($"A='{Above}' D='{Folder}'; {command}");

    (int Exit, string Output) Whistle(string arguments, string environment = "")
    {
        var here = new DirectoryInfo(AppContext.BaseDirectory);
        var program = Path.Combine(here.Parent!.Parent!.FullName, "Whistle", here.Name, "whistle.dll");
        return Shell.Try($"HOME='{Above}' DOTNET_CLI_HOME='{Above}' {environment} timeout 60 setpriv --reuid={Stranger} --regid={Stranger} "
            + $"--clear-groups dotnet '{program}' {arguments}");
    }

    string OpenToOthers() => Shell.Run($"find '{Folder}' -perm /077");

    [GeneratedRegex(@"[Uu]se: (.+)$")]
    private static partial Regex Command();
}
