using Whistle.Commands;

// Before anything is made: all of it is for the user that runs this.
Whistle.Actions.Files.Umask.Close();
return await CommandLine.Build().Parse(args).InvokeAsync();
