using System.Globalization;
using System.Text;

using Microsoft.Win32.SafeHandles;

namespace Whistle.Actions.Files;

public enum SecretTrouble
{
    Missing,

    /// <summary>The file is there and is not shown to this process, or could not be made.</summary>
    Unreadable,

    /// <summary>Others may have written it, may write it or may read it; or it is not a plain file.</summary>
    Untrusted,

    /// <summary>It is this program's alone, and what it holds is no such secret.</summary>
    Damaged,
}

/// <summary>A secret cannot be had from its file. The message says why and what to do, and has nothing of what the file holds.</summary>
public sealed class SecretException(SecretTrouble trouble, string reason) : IOException(char.ToUpperInvariant(reason[0]) + reason[1..])
{
    public SecretTrouble Trouble => trouble;

    /// <summary>The message as it stands after a colon.</summary>
    public string Reason => reason;
}

/// <summary>
/// Every secret of Whistle's that lies in a file is read and made here. It is made whole or not at all; it is taken only where nobody else
/// could have written it and, unless it was put there by people, only its owner can read it; and only where it has the form that it must
/// have.
/// </summary>
public sealed class SecretFile(string path, SecretForm form)
{
    const int ReadableByGroup = 0x20;
    const int ReadableByWorld = 0x07;

    static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    readonly string _path = Path.GetFullPath(path);

    /// <summary>Trusted beside root; by default the user that runs this.</summary>
    public uint? Owner { get; init; }

    /// <exception cref="SecretException">There is none that could be taken.</exception>
    public string Read()
    {
        var bytes = ReadBytes();
        try
        {
            // Line ends and spaces that an editor or echo leaves. Unicode's spaces stay: what is
            // nothing but them is no secret, and not an empty one.
            var text = Utf8.GetString(bytes).Trim(' ', '\r', '\n');
            return form.Fault(text) is { } fault ? throw Damaged(fault) : text;
        }
        catch (DecoderFallbackException)
        {
            throw Damaged("is not UTF-8.");
        }
    }

    /// <summary>What the file holds, whatever its form.</summary>
    /// <exception cref="SecretException">It may not be taken.</exception>
    public byte[] ReadBytes() => Native.IsKnown ? ReadTrusted() : ReadPlain();

    /// <summary>Why it cannot be read now; null where it can.</summary>
    public string? Fault()
    {
        try
        {
            Read();
            return null;
        }
        catch (SecretException e)
        {
            return e.Reason;
        }
    }

    /// <summary>
    /// The secret, made where there is none. One that is damaged is set aside and another made, so that monitoring goes on: nobody can know
    /// the new one who may not read this folder, and what carries the old one is refused. A file that others could have written is never
    /// replaced in silence; that is for a person to look at.
    /// </summary>
    /// <param name="make">Called only where there is a need.</param>
    /// <param name="say">Is told what was set aside.</param>
    /// <exception cref="SecretException">It can be neither read nor made.</exception>
    public string ReadOrMake(Func<string> make, TimeProvider time, Action<string> say)
    {
        try
        {
            return Read();
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Missing)
        {
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Damaged)
        {
            say($"{e.Message} It is set aside as {SetAside(time)}, and a new one is made.");
        }

        Make(make());
        // As the disk has it, or as another process made it at the same instant.
        return Read();
    }

    /// <summary>Gives the file a name that says when it was found damaged; answers it.</summary>
    /// <exception cref="SecretException">It has to stay where it is.</exception>
    public string SetAside(TimeProvider time)
    {
        var aside = $"{_path}.damaged-{time.GetUtcNow().ToString("yyyyMMdd'T'HHmmssfff'Z'", CultureInfo.InvariantCulture)}";
        try
        {
            File.Move(_path, aside, overwrite: true);
            return aside;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretException(
                SecretTrouble.Unreadable, $"the file {_path} is damaged and cannot be set aside: {e.Message} Use: rm {_path}");
        }
    }

    /// <summary>
    /// Takes from others the right to read a plain file of this user's, as a shell's redirection leaves it; answers its mode before, or
    /// null where nothing was to be done. Whatever else is wrong with it is found when it is read.
    /// </summary>
    public static string? Close(string path)
    {
        if (!Native.IsKnown || Native.Stat(path, out var stat) != 0 || !stat.IsFile || stat.Owner != Native.EffectiveUser
            || (stat.Mode & ReadableByWorld) == 0)
            return null;
        try
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return PathTrust.Octal(stat);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    void Make(string secret)
    {
        try
        {
            WholeFile.TryCreate(_path, Utf8.GetBytes(secret + "\n"));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SecretException(SecretTrouble.Unreadable, $"{form.What} cannot be made in {_path}: "
                + $"{e.Message} Free space on that disk or let this user write there, and start again.");
        }
    }

    byte[] ReadTrusted()
    {
        var user = Owner ?? Native.EffectiveUser;
        if (PathTrust.FaultOnTheWay(_path, user, followLast: form.IsPlaced, out var real) is { } open)
            throw Untrusted(open);
        var error = Native.OpenFile(real, out var opened);
        if (error != 0)
            throw NotOpened(real, error);
        using var file = new SafeFileHandle(opened, ownsHandle: true);
        // Of what was opened, not of what the path names by now.
        if (Native.Stat(opened, out var stat) != 0 || !stat.IsFile)
            throw Untrusted($"{real} is not a regular file. Check what it is, then run: rm -r {real}");
        if ((PathTrust.Fault(real, stat, user) ?? FaultOfAccess(real, stat)) is { } fault)
            throw Untrusted(fault);
        return Read(file, stat.Length);
    }

    SecretException NotOpened(string real, int error) => error switch
    {
        Native.NoEntry or Native.NotAFolder => Missing(),
        Native.IsALink => Untrusted($"{real} is a link, which is not followed here. Look at where it leads; then use: rm {real}"),
        Native.NoAccess or Native.NotPermitted => new(SecretTrouble.Unreadable, $"the file {real} cannot be read by uid "
            + $"{Native.EffectiveUser}. Run this as its owner, or use: chown {Native.EffectiveUser} {real}"),
        _ => new(SecretTrouble.Unreadable, $"the file {real} cannot be read: {Native.Text(error)}."),
    };

    string? FaultOfAccess(string real, FileStat stat)
    {
        if (stat.Links > 1 && !form.IsPlaced)
            return $"{real} has {stat.Links} names, so it may be read and written under another one. "
                + $"Use: cp -p {real} {real}.copy; mv {real}.copy {real}";
        var forbidden = form.IsPlaced ? ReadableByWorld : ReadableByGroup | ReadableByWorld;
        return (stat.Mode & forbidden) != 0
            ? $"{real} can be read by others ({PathTrust.Octal(stat)}), who may know {form.What} by now. "
                + $"Replace it if somebody could have; then use: chmod {(form.IsPlaced ? "o-rwx" : "600")} {real}"
            : null;
    }

    byte[] ReadPlain()
    {
        if (!File.Exists(_path))
            throw Missing();
        try
        {
            using var file = File.OpenHandle(_path);
            return Read(file, RandomAccess.GetLength(file));
        }
        catch (Exception e) when (e is UnauthorizedAccessException or IOException and not SecretException)
        {
            throw new SecretException(SecretTrouble.Unreadable, $"the file {_path} cannot be read: {e.Message}");
        }
    }

    byte[] Read(SafeFileHandle file, long length)
    {
        if (length > form.LargestBytes)
            throw Damaged($"has {length} bytes, more than the {form.LargestBytes} that {form.What} can have.");
        var bytes = new byte[length];
        return bytes[..RandomAccess.Read(file, bytes, 0)];
    }

    SecretException Missing() =>
        new(SecretTrouble.Missing, $"the file {_path} does not exist. Write {form.What} into it, or name the file that holds it.");

    SecretException Damaged(string fault) =>
        new(SecretTrouble.Damaged, $"the file {_path} {fault} Write {form.What} into it, and nothing else.");

    static SecretException Untrusted(string fault) => new(SecretTrouble.Untrusted, $"the secret is not taken: {fault}");
}
