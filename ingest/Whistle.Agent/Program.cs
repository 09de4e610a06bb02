return await Whistle.Agent.AgentCommand.RunAsync(args);
