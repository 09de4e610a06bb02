namespace Whistle.Agent.Linux;

/// <summary>The source exists, but not on this host or not with these rights. The message says what is missing.</summary>
sealed class NoDataException(string message) : Exception(message);
