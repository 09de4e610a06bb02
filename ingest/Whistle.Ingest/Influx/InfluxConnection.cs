using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;

using Whistle.State.Files;

namespace Whistle.Ingest.Influx;

/// <summary>What a server said to lines that were written.</summary>
/// <param name="Status">Null where it could not be reached.</param>
/// <param name="Text">Whole, but for what no server says.</param>
readonly record struct WriteAnswer(HttpStatusCode? Status, string Text, TimeSpan? RetryAfter)
{
    public bool IsTaken => Status is HttpStatusCode.NoContent;

    /// <summary>The same may be taken later.</summary>
    public bool IsPassing => Status is null or HttpStatusCode.TooManyRequests or HttpStatusCode.RequestTimeout or >= (HttpStatusCode)500;

    /// <summary>A 200 is some proxy's page: InfluxDB has nothing to say to what it takes.</summary>
    public bool IsForeign => Status is HttpStatusCode.OK;

    /// <summary>What was sent is at fault, or some of it.</summary>
    public bool IsRefusal =>
        Status is HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnprocessableEntity;
}

/// <summary>Speaks HTTP with one InfluxDB.</summary>
sealed class InfluxConnection : IDisposable
{
    const int LongestText = 500;

    // Cites the keys of two series at most.
    const int LongestAnswer = 300_000;
    const int ReasonBytes = 256 * 1024;

    // The last statement of each question. Its answer says that nothing before it failed: InfluxDB's CSV does not say errors.
    const string LastStatement = "; SHOW DATABASES";

    const string Error = "\"error\":\"";

    readonly InfluxEndpoint _endpoint;
    readonly InfluxOptions _options;
    readonly TimeProvider _time;
    readonly SocketsHttpHandler _handler;
    readonly HttpClient _http;
    readonly Uri _write;
    readonly Uri _query;
    readonly MemoryStream _packed = new();
    string? _token;

    public InfluxConnection(InfluxEndpoint endpoint, InfluxOptions options, TimeProvider time)
    {
        (_endpoint, _options, _time) = (endpoint, options, time);
        _handler = InfluxTrust.Handler(endpoint.CaFile);
        _http = new HttpClient(_handler, disposeHandler: false) { Timeout = Timeout.InfiniteTimeSpan };
        var root = endpoint.Url.AbsoluteUri.TrimEnd('/');
        _write = new Uri($"{root}/api/v2/write?org={Uri.EscapeDataString(endpoint.Org)}"
            + $"&bucket={Uri.EscapeDataString(endpoint.Bucket)}&precision=ms");
        _query = new Uri($"{root}/query");
        Name = endpoint.Url.Authority;
        Subject = $"{Name} {endpoint.Bucket}";
    }

    /// <summary>Host and port, for messages.</summary>
    public string Name { get; }

    /// <summary>Likewise with the bucket, of which a server can have several: for the health.</summary>
    public string Subject { get; }

    public InfluxEndpoint Endpoint => _endpoint;

    /// <summary>For the client of the set-up; disposed with this.</summary>
    public HttpMessageHandler Handler => _handler;

    /// <summary>The database of the bucket's name, and the policy where it names one.</summary>
    public (string Database, string? Policy) Parts => _endpoint.Bucket.IndexOf('/', StringComparison.Ordinal) is > 0 and var at
        ? (_endpoint.Bucket[..at], _endpoint.Bucket[(at + 1)..]) : (_endpoint.Bucket, null);

    public void Dispose()
    {
        _http.Dispose();
        _handler.Dispose();
        _packed.Dispose();
    }

    /// <summary>Reads the token where it was not yet read, or was refused.</summary>
    /// <exception cref="StoreException">It cannot be read.</exception>
    public string? ReadToken()
    {
        try
        {
            return _token ??= _endpoint.Token?.Invoke();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure($"was not asked: {e.Message.TrimEnd('.')}");
        }
    }

    /// <summary>Sends lines once. One thread at a time.</summary>
    public WriteAnswer Write(ReadOnlyMemory<byte> lines)
    {
        using var limit = new CancellationTokenSource(_options.WriteTime, _time);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, _write) { Content = Content(lines) };
            using var answer = Send(request, HttpCompletionOption.ResponseContentRead, limit.Token);
            return new(answer.StatusCode, answer.StatusCode == HttpStatusCode.NoContent ? "" : WholeTextOf(answer), RetryAfter(answer));
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested)
        {
            return new(null, $"no answer within {_options.WriteTime.TotalSeconds:0} s", null);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return new(null, e.Message, null);
        }
    }

    ReadOnlyMemoryContent Content(ReadOnlyMemory<byte> lines)
    {
        if (!_options.Gzip)
            return new ReadOnlyMemoryContent(lines);
        _packed.SetLength(0);
        using (var gzip = new GZipStream(_packed, CompressionLevel.Fastest, leaveOpen: true))
            gzip.Write(lines.Span);
        var packed = new ReadOnlyMemoryContent(_packed.GetBuffer().AsMemory(0, (int)_packed.Length));
        packed.Headers.ContentEncoding.Add("gzip");
        return packed;
    }

    /// <summary>Asks in InfluxQL and gives each row of the answer, after which nothing of it is missing.</summary>
    /// <param name="statements">One or more, with semicolons between.</param>
    /// <param name="each">What it throws ends the reading and is thrown on.</param>
    /// <param name="cancellation">Ends the wait, too.</param>
    /// <exception cref="StoreException">There was no answer, or not all of it.</exception>
    public void Query(string statements, Action<CsvRows> each, CancellationToken cancellation = default)
    {
        using var limit = new CancellationTokenSource(_options.AnswerTime, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellation);
        using var answer = Reading(() => Ask(statements + LastStatement, "application/csv", either.Token), limit.Token, cancellation);
        using var cut = either.Token.UnsafeRegister(static answer => ((HttpResponseMessage)answer!).Dispose(), answer);
        var rows = new CsvRows(Reading(() => answer.Content.ReadAsStream(either.Token), limit.Token, cancellation));
        var (isHeader, isLast, isComplete, isEmpty) = (true, false, false, true);
        while (Reading(rows.Next, limit.Token, cancellation))
        {
            if (rows.Count == 0)
            {
                isHeader = true;
            }
            else if (isHeader)
            {
                isHeader = false;
                if (rows.Count == 1 && rows[0].SequenceEqual("error"u8))
                    throw Failure($"did not answer: {ErrorOf(rows, limit.Token, cancellation)}");
                isLast = rows.Count == 3 && rows[2].SequenceEqual("name"u8);
            }
            else if (isLast && rows[0].SequenceEqual("databases"u8))
            {
                isComplete = true;
            }
            else
            {
                isEmpty = false;
                each(rows);
            }
        }

        if (either.IsCancellationRequested)
            cancellation.ThrowIfCancellationRequested();
        // A listing that fails says so in JSON alone, and the statements after it go on.
        if (isComplete && isEmpty && statements.StartsWith("SHOW ", StringComparison.Ordinal) && !IsEmpty(statements))
            throw Failure("did not answer: a listing failed. Ask again.");
        if (!isComplete)
            throw Failure($"did not answer: {Reason(statements + LastStatement) ?? "its answer is not complete. See its log."}");
    }

    string ErrorOf(CsvRows rows, CancellationToken limit, CancellationToken cancellation) =>
        Reading(rows.Next, limit, cancellation) && rows.Count > 0 ? Encoding.UTF8.GetString(rows[0]) : "it does not say why.";

    HttpResponseMessage Ask(string statements, string accept, CancellationToken cancellation)
    {
        var (database, policy) = Parts;
        Dictionary<string, string> form = new() { ["db"] = database, ["epoch"] = "ms", ["chunked"] = "true", ["q"] = statements };
        if (policy is not null)
            form["rp"] = policy;
        using var request = new HttpRequestMessage(HttpMethod.Post, _query) { Content = new FormUrlEncodedContent(form) };
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(accept));
        var answer = Send(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        if (answer.IsSuccessStatusCode)
            return answer;
        using (answer)
            throw Failure($"did not answer: {(int)answer.StatusCode} {TextOf(answer)}", answer.StatusCode);
    }

    bool IsEmpty(string listing) => InJson(listing) is { } text && !text.Contains(Error, StringComparison.Ordinal)
        && !text.Contains("\"series\"", StringComparison.Ordinal) && text.Contains("\"results\"", StringComparison.Ordinal);

    // JSON says errors, so the same is asked again for the reason alone.
    string? Reason(string statements) =>
        InJson(statements) is { } text && text.IndexOf(Error, StringComparison.Ordinal) is >= 0 and var at
            ? Shortened(text[(at + Error.Length)..].Split('}')[0].TrimEnd('"')) : null;

    string? InJson(string statements)
    {
        using var limit = new CancellationTokenSource(_options.WriteTime, _time);
        try
        {
            using var answer = Ask(statements, "application/json", limit.Token);
            using var cut = limit.Token.UnsafeRegister(static answer => ((HttpResponseMessage)answer!).Dispose(), answer);
            var bytes = new byte[ReasonBytes];
            var read = answer.Content.ReadAsStream(limit.Token).ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
            return Encoding.UTF8.GetString(bytes, 0, read);
        }
        catch (Exception e) when (
            e is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException or StoreException)
        {
            return null;
        }
    }

    HttpResponseMessage Send(HttpRequestMessage request, HttpCompletionOption completion, CancellationToken cancellation)
    {
        if (ReadToken() is { } token)
            request.Headers.TryAddWithoutValidation("Authorization", $"Token {token}");
        var answer = _http.Send(request, completion, cancellation);
        if (answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
            _token = null;
        return answer;
    }

    // Only what the network does: what the caller does with a row throws what it throws.
    T Reading<T>(Func<T> read, CancellationToken limit, CancellationToken cancellation)
    {
        try
        {
            return read();
        }
        catch (Exception) when (cancellation.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellation);
        }
        catch (Exception) when (limit.IsCancellationRequested)
        {
            throw Failure($"did not answer within {_options.AnswerTime.TotalSeconds:0} s.");
        }
        catch (StoreException e) when (!e.Message.StartsWith("InfluxDB", StringComparison.Ordinal))
        {
            throw Failure($"did not answer: {e.Message}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or ObjectDisposedException or OperationCanceledException)
        {
            throw Failure($"did not answer: {e.Message}");
        }
    }

    public StoreException Failure(string what, HttpStatusCode? status = null) => new(
        $"InfluxDB at {Name} {what}" + status switch
        {
            HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden => " Give Whistle a token that may read and write its bucket.",
            HttpStatusCode.NotFound => $" Create the bucket {_endpoint.Bucket}, or name another.",
            _ => "",
        });

    static string TextOf(HttpResponseMessage answer) => Shortened(WholeTextOf(answer));

    static string WholeTextOf(HttpResponseMessage answer)
    {
        if (answer.Headers.TryGetValues("X-Influxdb-Error", out var errors))
            return errors.First().Trim();
        using var text = new StreamReader(answer.Content.ReadAsStream());
        var read = new char[LongestAnswer];
        return new string(read, 0, text.ReadBlock(read)).Trim();
    }

    TimeSpan? RetryAfter(HttpResponseMessage answer) =>
        answer.Headers.RetryAfter?.Delta ?? (answer.Headers.RetryAfter?.Date is { } date ? date - _time.GetUtcNow() : null);

    internal static string Shortened(string text) =>
        text.Trim() is var trimmed && trimmed.Length > LongestText ? $"{trimmed[..LongestText]}…" : trimmed;
}
