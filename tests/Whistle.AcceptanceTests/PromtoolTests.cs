using System.Diagnostics;
using System.Text.RegularExpressions;

using Xunit;

namespace Whistle.AcceptanceTests;

/// <summary>Prometheus's own client, pointed at Whistle and at a Prometheus with the same data.</summary>
public sealed partial class PromtoolTests
{
    // A SERVER is to be asked; NOW is the time of the last samples, NOW-90m before it.
    static readonly string[] Commands =
    [
        "instant --time=NOW SERVER sort(http_requests_total)",
        "instant --time=NOW-160m SERVER only_old",
        "instant --time=NOW SERVER 1+1",
        "instant --time=NOW SERVER sum(rate(http_requests_total[150m]))",
        "instant --time=NOW SERVER memory_bytes[3m]",
        "-o json instant --time=NOW SERVER memory_bytes",
        "range --start=NOW-100m --end=NOW --step=10m SERVER http_requests_total",
        "range --start=NOW-170m --end=NOW-140m --step=5m SERVER only_old",
        "series --match=http_requests_total --match=only_old SERVER",
        "series --match={az!=\"\"} --start=NOW-180m --end=NOW-155m SERVER",
        "series --match=absent_metric SERVER",
        "labels SERVER job",
        "labels SERVER __name__",
        "labels SERVER my.label",
        "labels --match=only_old --start=NOW-180m --end=NOW SERVER __name__",
        "labels SERVER absent",
    ];

    static readonly string[] Mistakes =
    [
        "instant SERVER up{", "range --start=NOW --end=NOW-1m SERVER up", "series --match=sum(up) SERVER", "labels --match=up{ SERVER job",
    ];

    [Fact]
    public async Task Promtool_shows_of_Whistle_what_it_shows_of_Prometheus()
    {
        var promtool = Requirement.Promtool();
        var cancellation = TestContext.Current.CancellationToken;
        await using var pair = await PrometheusPair.StartAsync(cancellation);
        var config = Path.Combine(pair.Whistle.Folder, "promtool.yml");
        await File.WriteAllTextAsync(
            config, $"authorization: {{ credentials_file: {Path.Combine(pair.Whistle.Folder, "token")} }}", cancellation);

        foreach (var command in Commands)
        {
            var (theirs, ours) = (await RunAsync(command, pair.Prometheus.Address), await RunAsync(command, pair.Whistle.App.Address));
            Assert.True(theirs.Code == 0, $"{command}: {theirs.Error}");
            Assert.True(ours.Code == 0, $"{command}: {ours.Error}");
            Assert.True(
                theirs.Output == Own().Replace(Stamps().Replace(ours.Output, ""), ""),
                $"{command}\nPrometheus:\n{theirs.Output}\nWhistle:\n{ours.Output}");
        }

        foreach (var command in Mistakes)
        {
            var (theirs, ours) = (await RunAsync(command, pair.Prometheus.Address), await RunAsync(command, pair.Whistle.App.Address));
            Assert.Equal((1, 1), (theirs.Code, ours.Code));
            // What kind of error it is, not its wording.
            Assert.Equal(theirs.Error.Split(": ").Take(2), ours.Error.Split(": ").Take(2));
        }

        async Task<(int Code, string Output, string Error)> RunAsync(string command, Uri server)
        {
            var arguments = Times().Replace(command, m => $"{pair.Now - (m.Groups[1].Success ? int.Parse(m.Groups[1].ValueSpan) * 60 : 0)}")
                .Split(' ').Select(a => a == "SERVER" ? server.ToString() : a);
            using var process = Process.Start(new ProcessStartInfo(promtool, ["query", $"--http.config.file={config}", .. arguments])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var error = process.StandardError.ReadToEndAsync(cancellation);
            var output = await process.StandardOutput.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation);
            return (process.ExitCode, output, await error);
        }
    }

    // As text and as JSON; neither label is the first of a series that the tests send.
    [GeneratedRegex(",\\s?\"?(cluster|tenant)\"?[=:]\"[^\"]*\"")]
    private static partial Regex Stamps();

    // Names of metrics that the server records of itself.
    [GeneratedRegex("^whistle_.*\n", RegexOptions.Multiline)]
    private static partial Regex Own();

    [GeneratedRegex("NOW(?:-([0-9]+)m)?")]
    private static partial Regex Times();
}
