using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;

using Whistle.Benchmarks.Ingest;
using Whistle.Telemetry;

namespace Whistle.Benchmarks.Doors;

/// <summary>
/// People who look, and agents that report, each at their own pace whatever the answers take; a request counts from when it was due.
/// </summary>
sealed class Callers : IDisposable
{
    const int Agents = 20;

    static readonly TimeSpan PagePace = TimeSpan.FromMilliseconds(100);
    static readonly TimeSpan ReportPace = TimeSpan.FromSeconds(1);

    readonly HttpClient _person;
    readonly List<(HttpClient Client, RequestTemplate Template)> _agents = [];

    Callers(HttpClient person) => _person = person;

    public static async Task<Callers> OfAsync(DoorServer server)
    {
        var callers = new Callers(server.Operator());
        for (var i = 0; i < Agents; i++)
        {
            var token = await DoorServer.EnrolAsync(callers._person, string.Create(CultureInfo.InvariantCulture, $"healthy-{i}"));
            callers._agents.Add((server.Target.WithToken(token), new RequestTemplate([.. NodeProfile.Series(i, 1)])));
        }

        return callers;
    }

    /// <summary>How long they waited, in milliseconds, until it is over.</summary>
    public async Task<Waits> CallAsync(CancellationToken over)
    {
        var (pages, reports, failures) = (new ConcurrentBag<double>(), new ConcurrentBag<double>(), new ConcurrentBag<string>());
        var work = _agents.Select((agent, i) => EachAsync(
            ReportPace, ReportPace / Agents * i, () => ReportAsync(agent.Client, agent.Template), reports, failures, over)).ToList();
        string[] asked = ["api/whistle/v1/incidents", "api/whistle/v1/nodes", "api/v1/query?query=up"];
        var next = 0;
        work.Add(EachAsync(PagePace, TimeSpan.Zero, () => _person.GetAsync(
            new Uri(asked[next++ % asked.Length], UriKind.Relative)), pages, failures, over));
        await Task.WhenAll(work);
        return new(Sorted(pages), Sorted(reports), [.. failures]);
    }

    public void Dispose()
    {
        _person.Dispose();
        _agents.ForEach(a => a.Client.Dispose());
    }

    static double[] Sorted(IEnumerable<double> values) => [.. values.Order()];

    static async Task EachAsync(
        TimeSpan pace, TimeSpan first, Func<Task<HttpResponseMessage>> call, ConcurrentBag<double> waits, ConcurrentBag<string> failures,
        CancellationToken over)
    {
        var begun = Stopwatch.GetTimestamp();
        for (var due = first; !over.IsCancellationRequested; due += pace)
        {
            if (due - Stopwatch.GetElapsedTime(begun) is var early && early > TimeSpan.Zero)
                await Task.Delay(early, TimeProvider.System, CancellationToken.None);
            try
            {
                using var answer = await call();
                await answer.Content.LoadIntoBufferAsync(CancellationToken.None);
                waits.Add((Stopwatch.GetElapsedTime(begun) - due).TotalMilliseconds);
                if (!answer.IsSuccessStatusCode)
                    failures.Add($"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(CancellationToken.None)}");
            }
            catch (HttpRequestException e)
            {
                failures.Add(e.Message);
            }
        }
    }

    static Task<HttpResponseMessage> ReportAsync(HttpClient agent, RequestTemplate template) =>
        PostAsync(agent, template.Next(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds()));

    public static Task<HttpResponseMessage> PostAsync(HttpClient agent, byte[] body)
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/x-protobuf");
        content.Headers.ContentEncoding.Add("snappy");
        var request = new HttpRequestMessage(HttpMethod.Post, "api/v1/write") { Content = content };
        request.Headers.Add(RemoteWriteBody.VersionHeader, "0.1.0");
        return agent.SendAsync(request);
    }
}

/// <summary>In milliseconds, the shortest first.</summary>
sealed record Waits(double[] People, double[] Agents, IReadOnlyList<string> Failures)
{
    public static double At(double[] sorted, double share) =>
        sorted.Length == 0 ? double.NaN : sorted[Math.Min(sorted.Length - 1, (int)(sorted.Length * share))];
}
