namespace Whistle;

/// <summary>The server cannot start, for a reason that the operator can fix.</summary>
sealed class StartException : Exception
{
    public StartException()
    {
    }

    public StartException(string message)
        : base(message)
    {
    }

    public StartException(string message, Exception inner)
        : base(message, inner)
    {
    }
}
