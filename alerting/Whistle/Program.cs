using Whistle.Commands;

return await CommandLine.Build().Parse(args).InvokeAsync();
