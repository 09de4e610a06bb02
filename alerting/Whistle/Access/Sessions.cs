using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

using Whistle.Actions.Files;

namespace Whistle.Access;

/// <summary>
/// Who is logged in. A browser's cookie holds an id; the list, kept in the data folder, holds a hash of each that is keyed with the
/// server's token. So a session ends when it is taken off the list, after its time, and with the token: under another token no id has a
/// hash that is listed.
/// </summary>
sealed class Sessions : IDisposable
{
    public static readonly TimeSpan Life = TimeSpan.FromDays(7);

    const int Most = 1000;

    static readonly SecretForm Form =
        new("the list of sessions", 256 << 10, text => Parse(text) is null ? "holds no list of sessions." : null);

    readonly string _file;
    readonly byte[] _key;
    readonly TimeProvider _time;
    readonly Lock _gate = new();
    readonly Dictionary<string, Session> _open = [];

    /// <param name="token">The server's.</param>
    /// <param name="say">Called with the description of a list that was damaged; all have to log in again then.</param>
    /// <exception cref="SecretException">Others could have written the list.</exception>
    public Sessions(string file, string token, TimeProvider time, Action<string> say)
    {
        (_file, _key, _time) = (Path.GetFullPath(file), Encoding.UTF8.GetBytes(token), time);
        foreach (var (hash, until) in Load(say).Where(s => s.Until > time.GetUtcNow()))
            _open[hash] = new Session(until, time);
    }

    /// <summary>Answers the id for the browser.</summary>
    public string Begin()
    {
        var id = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var now = _time.GetUtcNow();
        // What is over, and of too many the oldest.
        End(
            all => all.OrderByDescending(s => s.Value.Until).Where((s, i) => s.Value.Until <= now || i >= Most - 1), HashOf(id),
            new Session(now + Life, _time));
        return id;
    }

    public bool IsOpen(string? id)
    {
        if (id is null)
            return false;
        lock (_gate)
            return _open.TryGetValue(HashOf(id), out var session) && _time.GetUtcNow() < session.Until;
    }

    /// <summary>Is cancelled when the session ends; at once where there is none.</summary>
    public CancellationToken Ending(string id)
    {
        lock (_gate)
            return _open.TryGetValue(HashOf(id), out var session) ? session.Ended : new CancellationToken(canceled: true);
    }

    public void End(string id) => End(all => all.Where(s => s.Key == HashOf(id)));

    /// <returns>How many there were.</returns>
    public int EndAll() => End(all => all);

    public void Dispose()
    {
        foreach (var session in _open.Values)
            session.Dispose();
    }

    int End(
        Func<IEnumerable<KeyValuePair<string, Session>>, IEnumerable<KeyValuePair<string, Session>>> which, string? hash = null,
        Session? begun = null)
    {
        List<KeyValuePair<string, Session>> ended;
        lock (_gate)
        {
            ended = [.. which(_open)];
            ended.ForEach(s => _open.Remove(s.Key));
            if (begun is not null)
                _open[hash!] = begun;
        }

        // Outside of the lock, and whatever the disk does: the pages of the sessions are cut off in here.
        ended.ForEach(s => s.Value.End());
        lock (_gate)
            Save_NeedsLock();
        return ended.Count;
    }

    // A keyed hash, so that neither the list nor the time that a look-up takes is of use to anybody without the token.
    string HashOf(string id) => Base64Url.EncodeToString(HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(id)));

    void Save_NeedsLock()
    {
        var lines = _open.Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Key} {s.Value.Until.ToUnixTimeSeconds()}\n"));
        try
        {
            WholeFile.Replace(_file, Encoding.ASCII.GetBytes(string.Concat(lines)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // On a full disk too what has ended must not come back with a restart. Without a list everybody logs in again.
            File.Delete(_file);
        }
    }

    List<(string Hash, DateTimeOffset Until)> Load(Action<string> say)
    {
        var file = new SecretFile(_file, Form);
        try
        {
            return Parse(file.Read())!;
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Missing)
        {
            return [];
        }
        catch (SecretException e) when (e.Trouble is SecretTrouble.Damaged)
        {
            say($"{e.Message} It is set aside as {file.SetAside(_time)}, and everybody has to log in again.");
            return [];
        }
    }

    static List<(string, DateTimeOffset)>? Parse(string text)
    {
        List<(string, DateTimeOffset)> sessions = [];
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Split(' ') is not [{ Length: 43 } hash, var until]
                || !long.TryParse(until, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) || seconds > 253_402_300_799)
                return null;
            sessions.Add((hash, DateTimeOffset.FromUnixTimeSeconds(seconds)));
        }

        return sessions;
    }

    sealed class Session(DateTimeOffset until, TimeProvider time) : IDisposable
    {
        readonly CancellationTokenSource _end =
            new(TimeSpan.FromTicks(Math.Clamp((until - time.GetUtcNow()).Ticks, 0, (Life + Life).Ticks)), time);

        public DateTimeOffset Until => until;

        public CancellationToken Ended => _end.Token;

        public void End() => _end.Cancel();

        public void Dispose() => _end.Dispose();
    }
}
