using Whistle.Commands;

using Xunit;

namespace Whistle.Tests.Commands;

public sealed class NamedPathTests
{
    [Theory]
    [InlineData("backup", "create", "")]
    [InlineData("backup", "verify", "")]
    [InlineData("backup", "restore", "", "--data", "x")]
    [InlineData("backup", "restore", "x", "--data", "")]
    [InlineData("serve", "--data", "")]
    [InlineData("serve", "--config", "")]
    [InlineData("serve", "--rules", "")]
    [InlineData("serve", "--runbooks", "")]
    [InlineData("serve", "--policy-file", "")]
    [InlineData("demo", "--data", "")]
    [InlineData("alerts", "--data", "")]
    [InlineData("rules", "check", "")]
    [InlineData("rules", "test", "")]
    [InlineData("runbooks", "check", "")]
    [InlineData("runbooks", "test", "x", "")]
    public void An_empty_path_is_refused(params string[] arguments) =>
        Assert.Contains(
            CommandLine.Build().Parse(arguments).Errors, e => e.Message.Contains("the path is empty", StringComparison.Ordinal));
}
