using System.CommandLine;

using Whistle;
using Whistle.Actions.Files;
using Whistle.Commands;
using Whistle.Health;

// Before anything is made: all of it is for the user that runs this.
Umask.Close();
FileSizeSignal.Ignore();
try
{
    // With too few files the runtime cannot load what would say so later.
    if (args is [] or ["serve" or "demo" or ['-', ..], ..])
    {
        ProcessLimits.Check();
        ProcessLimits.ProvideWorkers();
    }
}
catch (StartException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}

// A server's host hears of signals itself, and takes the time that it needs to stop.
var isServer = args is [] or ["serve" or ['-', ..], ..];
return await CommandLine.Build().Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = isServer ? null : TimeSpan.FromSeconds(2) });
