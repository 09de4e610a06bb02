using System.Diagnostics;

using Whistle.Commands;

using Xunit;

namespace Whistle.Tests.Commands;

/// <summary>The shells themselves load the script and complete with it.</summary>
public sealed class CompletionTests
{
    [Theory]
    [InlineData("", "alerts serve kill-switch --help")]
    [InlineData("ale", "=alerts")]
    [InlineData("runs ", "list show explain approve done cancel")]
    [InlineData("runs ap", "=approve")]
    [InlineData("runs list --ou", "=--output")]
    [InlineData("runs list --output ", "table wide csv json")]
    [InlineData("runs list -o w", "=wide")]
    [InlineData("runs list --output wide --js", "=--json")]
    [InlineData("mode set ap", "=approve")]
    [InlineData("completion b", "=bash")]
    [InlineData("runs list --data ", "")]
    public void Bash_completes_verbs_options_and_values(string typed, string expected)
    {
        var words = $"whistle {typed}".Split(' ');
        var script = $$"""
            {{Script("bash")}}
            COMP_WORDS=({{string.Join(' ', words.Select(w => $"'{w}'"))}}); COMP_CWORD={{words.Length - 1}}
            _whistle whistle
            printf '%s\n' "${COMPREPLY[@]}"
            """;
        Check(Run("bash", script), expected);
    }

    [Fact]
    public void Bash_knows_whose_script_it_is() =>
        Assert.Contains("-F _whistle whistle", Run("bash", $"{Script("bash")}\ncomplete -p whistle"), StringComparison.Ordinal);

    [Fact]
    public void Zsh_loads_the_script() =>
        Assert.Contains("_whistle",
            Run("zsh", $"autoload -Uz compinit; compinit -u -D\n{Script("zsh")}\nprint ${{_comps[whistle]}}"),
            StringComparison.Ordinal);

    [Theory]
    [InlineData("ale", "=alerts")]
    [InlineData("runs ap", "=approve")]
    [InlineData("runs list --ou", "=--output")]
    [InlineData("runs list --output w", "=wide")]
    public void Fish_completes_verbs_options_and_values(string typed, string expected) =>
        Check(Run("fish", $"{Script("fish")}\ncomplete -C 'whistle {typed}' | string replace -r '\\t.*' ''"), expected);

    static string Script(string shell) => CompletionCommand.Script(shell, CommandLine.Build());

    // "=" means this alone.
    static void Check(string output, string expected)
    {
        string[] offered = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (expected.StartsWith('='))
            Assert.Equal([expected[1..]], offered);
        else if (expected.Length == 0)
            Assert.Empty(offered);
        else
            Assert.Subset(offered.ToHashSet(), expected.Split(' ').ToHashSet());
    }

    static string Run(string shell, string script)
    {
        var path = Environment.GetEnvironmentVariable("PATH")!.Split(Path.PathSeparator)
            .Select(p => Path.Combine(p, shell)).FirstOrDefault(File.Exists);
        Assert.SkipWhen(path is null, $"{shell} is not installed.");
        string[] arguments = shell switch { "bash" => ["--norc", "--noprofile", "-s"], "zsh" => ["-f", "-s"], _ => ["--no-config"] };
        var start = new ProcessStartInfo(path, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        process.StandardInput.Write(script + "\n");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal("", error.GetAwaiter().GetResult());
        return output;
    }
}
