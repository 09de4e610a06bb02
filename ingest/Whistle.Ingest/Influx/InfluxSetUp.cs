using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

using InfluxDB.Client;
using InfluxDB.Client.Api.Domain;
using InfluxDB.Client.Core.Exceptions;

using Microsoft.Extensions.Logging;

using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Ingest.Influx;

/// <summary>
/// Looks whether an endpoint answers and has its bucket, with the retention that is configured; makes a bucket that is missing.
/// </summary>
sealed partial class InfluxSetUp(InfluxConnection connection, InfluxOptions options, HealthBoard? health, ILogger? logger)
{
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    string Bucket => connection.Endpoint.Bucket;

    /// <summary>Says in the health what is wrong. Whoever writes or reads finds out again what this found.</summary>
    /// <returns>Whether all is well.</returns>
    public bool Check()
    {
        var (state, trouble) = Find();
        if (trouble is null)
        {
            health?.Clear(InfluxStore.Component, connection.Subject);
            return true;
        }

        health?.Report(InfluxStore.Component, connection.Subject, state, trouble);
        logger?.InfluxTrouble(trouble);
        return false;
    }

    (HealthState State, string? Trouble) Find()
    {
        try
        {
            using var http = new HttpClient(connection.Handler, disposeHandler: false) { Timeout = Patience };
            using var client = Client(http);
            var version = client.VersionAsync().GetAwaiter().GetResult();
            TimeSpan? kept = version.TrimStart('v') switch
            {
                ['1', '.', ..] => Database(),
                ['2', '.', ..] => BucketOf(client),
                _ => null,
            };
            return kept is null
                ? (HealthState.Warning, $"The server at {connection.Name} is of version \"{version}\", whose buckets Whistle cannot look "
                    + $"at: make sure that it has {Bucket}, and keeps samples for {Text(options.Retention)}.")
                : kept == options.Retention ? (HealthState.Ok, null)
                : (HealthState.Warning, $"The bucket {Bucket} at {connection.Name} keeps samples {Text(kept.Value)}, and the configuration "
                    + $"says {Text(options.Retention)}. Change one of the two: the bucket's own rule drops samples.");
        }
        catch (StoreException e)
        {
            return (HealthState.Degraded, e.Message);
        }
        catch (Exception e) when (e is UnauthorizedException or ForbiddenException)
        {
            return (HealthState.Degraded, $"InfluxDB at {connection.Name} refused the token: {e.Message} Give Whistle one that may "
                + $"read and write the bucket {Bucket}.");
        }
        // A proxy may answer anything; a look only tells.
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return (HealthState.Degraded, $"InfluxDB at {connection.Name} cannot be reached: {e.Message} Look whether it runs.");
        }
    }

    InfluxDBClient Client(HttpClient http)
    {
        var settings = new InfluxDBClientOptions(connection.Endpoint.Url.AbsoluteUri) { HttpClient = http, Timeout = Patience };
        if (connection.ReadToken() is { } token)
            settings.Token = token;
        if (connection.Endpoint.Org.Length > 0)
            settings.Org = connection.Endpoint.Org;
        return new InfluxDBClient(settings);
    }

    TimeSpan BucketOf(InfluxDBClient client)
    {
        var buckets = client.GetBucketsApi();
        if (buckets.FindBucketByNameAsync(Bucket).GetAwaiter().GetResult() is not { } bucket)
        {
            var org = client.GetOrganizationsApi().FindOrganizationsAsync(org: connection.Endpoint.Org).GetAwaiter().GetResult()
                .FirstOrDefault() ?? throw connection.Failure($"shows no organisation {connection.Endpoint.Org} to this token, and the "
                    + $"bucket {Bucket} is missing. Create it, or name another.");
            var rule = new BucketRetentionRules(BucketRetentionRules.TypeEnum.Expire, (long)options.Retention.TotalSeconds);
            bucket = buckets.CreateBucketAsync(Bucket, rule, org.Id).GetAwaiter().GetResult();
            logger?.BucketMade(Bucket, connection.Name);
        }

        return TimeSpan.FromSeconds(bucket.RetentionRules.Select(r => r.EverySeconds ?? 0).DefaultIfEmpty(0).Max());
    }

    // Of 1.x, whose compatibility with 2.x knows no buckets.
    TimeSpan Database()
    {
        var (database, policy) = connection.Parts;
        if (Policies(database) is not { } policies)
        {
            connection.Query(
                $"CREATE DATABASE {InfluxQl.Name(database)} WITH DURATION {Seconds(options.Retention)}s"
                + (policy is null ? "" : $" NAME {InfluxQl.Name(policy)}"), _ => { });
            logger?.BucketMade(Bucket, connection.Name);
            policies = Policies(database)!;
        }

        return policies.Find(p => policy is null ? p.IsDefault : p.Name == policy) is { Name: not null } found
            ? found.Kept
            : throw connection.Failure($"has no policy {policy} in its database {database}. Create it, or name another.");
    }

    List<(string Name, TimeSpan Kept, bool IsDefault)>? Policies(string database)
    {
        List<(string, TimeSpan, bool)> policies = [];
        try
        {
            connection.Query($"SHOW RETENTION POLICIES ON {InfluxQl.Name(database)}", row =>
            {
                if (row.Count != 7)
                    throw connection.Failure($"did not answer: a policy has {row.Count} columns instead of seven.");
                var (name, kept) = (Encoding.UTF8.GetString(row[2]), Duration(Encoding.UTF8.GetString(row[3])));
                policies.Add((name, kept, row[6].SequenceEqual("true"u8)));
            });
        }
        catch (StoreException e) when (e.Message.Contains("database not found", StringComparison.Ordinal))
        {
            return null;
        }

        return policies;
    }

    // Such as 720h0m0s.
    static TimeSpan Duration(string text)
    {
        var parts = Hours().Match(text);
        return parts.Success ? new TimeSpan(Part(1), Part(2), Part(3)) : TimeSpan.Zero;

        int Part(int group) => parts.Groups[group].Success ? int.Parse(parts.Groups[group].ValueSpan, CultureInfo.InvariantCulture) : 0;
    }

    static string Seconds(TimeSpan span) => ((long)span.TotalSeconds).ToString(CultureInfo.InvariantCulture);

    static string Text(TimeSpan kept) => kept == TimeSpan.Zero
        ? "for ever" : string.Create(CultureInfo.InvariantCulture, $"{kept.TotalDays:0.##} days");

    [GeneratedRegex(@"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")]
    private static partial Regex Hours();
}
