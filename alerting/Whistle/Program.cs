using Whistle;
using Whistle.Actions.Files;
using Whistle.Commands;
using Whistle.Health;

// Before anything is made: all of it is for the user that runs this.
Umask.Close();
FileSizeSignal.Ignore();
args = Renames.Apply(args, Console.Error.WriteLine);
var isServer = args is ["serve" or "demo", ..];
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
    return ExitCode.Failed;
}

var command = CommandLine.Build().Parse(args);
if (isServer)
    return await CommandLine.InvokeAsync(command, new() { ProcessTerminationTimeout = null }, StopSignals.Take());
try
{
    return await CommandLine.InvokeAsync(command, new() { EnableDefaultExceptionHandler = false });
}
catch (IOException e)
{
    // Most of all: nobody takes what is printed.
    Console.Error.WriteLine($"{e.Message} What you asked for may have been done; look before you ask again.");
    return ExitCode.Failed;
}
catch (Exception e) when (e is not OperationCanceledException)
{
    Console.Error.WriteLine(e);
    return ExitCode.Failed;
}
