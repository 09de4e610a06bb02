Whistle.Actions.Files.Umask.Close();
Whistle.Actions.Files.FileSizeSignal.Ignore();
return await Whistle.Agent.AgentCommand.RunAsync(args);
