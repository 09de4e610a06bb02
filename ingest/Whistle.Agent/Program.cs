Whistle.Actions.Files.Umask.Close();
return await Whistle.Agent.AgentCommand.RunAsync(args);
