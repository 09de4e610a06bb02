using System.CommandLine;

using Whistle;
using Whistle.Actions.Files;
using Whistle.Commands;
using Whistle.Health;

// Before anything is made: all of it is for the user that runs this.
Umask.Close();
FileSizeSignal.Ignore();
var isServer = args is [] or ["serve" or "demo" or ['-', ..], ..];
try
{
    // With too few files the runtime cannot load what would say so later.
    if (isServer)
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

var command = CommandLine.Build().Parse(args);
if (!isServer)
    return await command.InvokeAsync();
using var signals = new StopSignals();
return await command.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null }, signals.Token);
