namespace Whistle.Commands;

/// <summary>What every verb ends with (docs/command-line.md). <c>data check</c> and <c>data repair</c> say more by theirs.</summary>
static class ExitCode
{
    public const int Fine = 0;
    public const int Failed = 1;

    /// <summary>The command line itself is wrong, or the settings of a server are.</summary>
    public const int Usage = 2;

    /// <summary>No Whistle server answers.</summary>
    public const int Unreachable = 3;

    /// <summary>Of <c>whistle health</c>: the server does its work, but not all of it.</summary>
    public const int Degraded = 4;

    /// <summary>EX_SOFTWARE of sysexits.h: the server cannot go on. Whoever supervises it starts it again.</summary>
    public const int Broken = 70;
}

/// <summary>Ends a verb with a message for the person who typed it.</summary>
class CommandException(string message, int exitCode = ExitCode.Failed) : Exception(message)
{
    public int ExitCode => exitCode;
}

/// <summary>What was typed makes no sense, whatever any server says.</summary>
sealed class UsageException(string message) : CommandException(message, Commands.ExitCode.Usage);

/// <summary>No Whistle server answers.</summary>
sealed class UnreachableException(string message) : CommandException(message, Commands.ExitCode.Unreachable);
