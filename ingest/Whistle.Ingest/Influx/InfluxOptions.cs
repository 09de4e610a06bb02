namespace Whistle.Ingest.Influx;

/// <summary>One InfluxDB and the bucket there, which belongs to Whistle alone.</summary>
/// <param name="Url">The server's root, such as <c>https://influx.example.com:8086</c>.</param>
/// <param name="Bucket">The bucket; of 1.x the database, or <c>database/policy</c>.</param>
public sealed record InfluxEndpoint(Uri Url, string Bucket)
{
    public string Org { get; init; } = "";

    /// <summary>Reads the token, again where the server refuses the one before. Of 1.x it is <c>user:password</c>.</summary>
    public Func<string>? Token { get; init; }

    /// <summary>Certificates in PEM that prove the server, instead of the system's.</summary>
    public string? CaFile { get; init; }

    /// <summary>
    /// Whose samples it has, as <c>tenant/cluster</c>, where <c>*</c> stands for any text. Empty: those of all clusters that no other has.
    /// </summary>
    public IReadOnlyList<string> Clusters { get; init; } = [];
}

/// <summary>Where the telemetry of which clusters is, and the pace of writing it there.</summary>
public sealed record InfluxOptions
{
    /// <summary>The first whose <see cref="InfluxEndpoint.Clusters"/> match has a cluster. The last has no such rule.</summary>
    public required IReadOnlyList<InfluxEndpoint> Endpoints { get; init; }

    /// <summary>How long the buckets keep samples. They drop them, not Whistle.</summary>
    public required TimeSpan Retention { get; init; }

    /// <summary>How long one batch is tried.</summary>
    public TimeSpan RetryFor { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long one request of a batch may take.</summary>
    public TimeSpan WriteTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long an answer may take, from the question to its last byte.</summary>
    public TimeSpan AnswerTime { get; init; } = TimeSpan.FromMinutes(2);

    public int BatchLines { get; init; } = 10_000;

    public int BatchBytes { get; init; } = 2 * 1024 * 1024;

    /// <summary>Compress what is written: much less to send, for a little more work here.</summary>
    public bool Gzip { get; init; } = true;

    /// <summary>For the jitter of waits. The process id differs from server to server, which is all that is asked of it.</summary>
    public int Seed { get; init; } = Environment.ProcessId;

    /// <summary>Everything that is wrong, each with how to fix it; empty if the options are valid.</summary>
    public IReadOnlyList<string> Errors()
    {
        List<string> errors = [];
        if (Endpoints.Count == 0)
            errors.Add("No InfluxDB is named. Name at least one with its url and bucket.");
        else if (Endpoints[^1].Clusters.Count > 0 || Endpoints.SkipLast(1).Any(e => e.Clusters.Count == 0))
            errors.Add("The last InfluxDB, and only that, must have no Clusters: it takes the clusters that no other has.");
        foreach (var endpoint in Endpoints)
        {
            if (!endpoint.Url.IsAbsoluteUri || endpoint.Url.Scheme is not ("http" or "https"))
                errors.Add($"\"{endpoint.Url}\" is no address of an InfluxDB. Write it like https://influx.example.com:8086.");
            if (endpoint.Bucket.Length == 0)
                errors.Add($"The bucket of {endpoint.Url} is missing. Name the bucket that belongs to Whistle.");
            if (endpoint.CaFile is { } file && !File.Exists(file))
                errors.Add($"There is no file {file} with the certificates that prove {endpoint.Url}.");
            errors.AddRange(endpoint.Clusters.Where(c => c.Count(l => l == '/') != 1)
                .Select(c => $"\"{c}\" names no clusters. Write tenant/cluster, where * stands for any text."));
        }

        if (Endpoints.DistinctBy(e => (e.Url, e.Org, e.Bucket)).Count() < Endpoints.Count)
            errors.Add("A bucket of InfluxDB is named twice. Put all of its Clusters into one entry.");
        if (Retention < TimeSpan.FromHours(1))
            errors.Add("InfluxDB keeps samples for one hour or more. Set a longer retention.");
        if (BatchLines < 1 || BatchBytes < 1024)
            errors.Add("A batch for InfluxDB needs at least one line and 1,024 bytes.");
        return errors;
    }
}
