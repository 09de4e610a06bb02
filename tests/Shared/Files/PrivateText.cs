namespace Whistle.Fixtures;

/// <summary>A file as whoever keeps a secret in one makes it.</summary>
static class PrivateText
{
    public static string Write(string path, string text)
    {
        File.WriteAllText(path, text);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }
}
