namespace Whistle.State.Files;

/// <summary>The store could not do what was asked, most often for a full or broken disk. Worth another try later.</summary>
public sealed class StoreException : Exception
{
    public StoreException()
    {
    }

    public StoreException(string message)
        : base(message)
    {
    }

    public StoreException(string message, Exception? inner)
        : base(message, inner)
    {
    }
}
