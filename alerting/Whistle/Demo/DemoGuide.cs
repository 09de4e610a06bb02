using System.Globalization;
using System.Text;

namespace Whistle.Demo;

/// <summary>What a newcomer reads when the demo begins.</summary>
static class DemoGuide
{
    /// <summary>What a verb of the command line needs to reach the demo's server.</summary>
    public static string VerbOptions(DemoRun run, string folder) => $"--server {run.App.Address.ToString().TrimEnd('/')} --data {folder}";

    public static string Text(DemoOptions options, DemoRun run, string folder, TimeSpan took)
    {
        var text = new StringBuilder();
        Line($"");
        Line($"Whistle shows {options.Nodes} simulated nodes at {run.App.Address} ({took.TotalSeconds:0} s to set up)");
        Line($"Log in once with {run.App.LoginLink()}");
        Line("Everything is simulated: no file of this machine is read or "
            + $"changed{(options.DataFolder is null ? "" : $"; the server's data are in {folder}")}. Ctrl-C ends it.");
        Line($"");
        Line($"It is {run.Now:HH:mm} UTC for the demo; the next {DemoOptions.Show.TotalMinutes:0} minutes pass {options.Factor:0} times as "
            + "fast, then it goes with the clock.");
        foreach (var cluster in DemoScript.Clusters)
            Line($"  {cluster.Name,-10} runbooks are in mode {cluster.Mode.ToString().ToLowerInvariant()}");
        Line($"");
        Line($"What to look at, in the demo's time and from now:");
        foreach (var scripted in run.Script.Events)
        {
            Line($"  {run.Live + scripted.From:HH:mm} to {run.Live + scripted.Until:HH:mm} ({Seconds(scripted.From, options)} to "
                + $"{Seconds(scripted.Until, options)} s)  {scripted.Cluster}/{scripted.Node} {scripted.Mountpoint}");
            Line($"      {scripted.What}");
        }

        Line($"");
        Line($"The same from another terminal: whistle alerts|incidents|runs list|tickets {VerbOptions(run, folder)}");
        return text.ToString();

        void Line(string line) => text.AppendLine(line);
    }

    static string Seconds(TimeSpan at, DemoOptions options) =>
        (at.TotalSeconds / options.Factor).ToString("0", CultureInfo.InvariantCulture);
}
