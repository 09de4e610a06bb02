using System.Data.Common;

namespace Whistle.State;

/// <summary>
/// The state cannot be used: its file is damaged or missing, its disk is full, or its database does not answer. The message says what to
/// do.
/// </summary>
public sealed class StateException : DbException
{
    public StateException()
    {
    }

    public StateException(string message)
        : base(message)
    {
    }

    public StateException(string message, Exception? inner)
        : base(message, inner)
    {
    }
}

/// <summary>One row says nothing sensible; the rest of the state can be used. The message says what to do.</summary>
public sealed class DamagedRowException : DbException
{
    public DamagedRowException()
    {
    }

    public DamagedRowException(string message)
        : base(message)
    {
    }

    public DamagedRowException(string message, Exception? inner)
        : base(message, inner)
    {
    }
}
