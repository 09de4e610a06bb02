using Microsoft.Extensions.Time.Testing;

using Whistle.Ingest.Influx;
using Whistle.Ingest.Stores;
using Whistle.State.Health;

using Xunit;

namespace Whistle.AcceptanceTests;

public sealed class DuckDbTelemetryTests : TelemetryStoreTests
{
    readonly string _folder = Directory.CreateTempSubdirectory("whistle-telemetry-").FullName;
    readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    DuckDbStore? _store;

    protected override bool LastStays => false;

    protected override bool ListsExactly => true;

    private protected override ITelemetryStore Open() => _store = new DuckDbStore(new(_folder, TimeSpan.FromDays(30)), _time);

    protected override void Advance(TimeSpan span) => _time.Advance(span);

    protected override ValueTask CloseAsync()
    {
        _store?.Dispose();
        Directory.Delete(_folder, recursive: true);
        return ValueTask.CompletedTask;
    }
}

public sealed class InfluxTelemetryTests(InfluxServer server) : TelemetryStoreTests, IClassFixture<InfluxServer>
{
    readonly FakeTimeProvider _time = new(TimeProvider.System.GetUtcNow());
    readonly HealthBoard _health = new(TimeProvider.System);
    InfluxStore? _store;

    protected override bool LastStays => true;

    protected override bool ListsExactly => false;

    private protected override ITelemetryStore Open()
    {
        _store = new InfluxStore(
            new InfluxOptions { Endpoints = [server.NewBucket()], Retention = TimeSpan.FromDays(30) }, _time, _health);
        _store.Check();
        Assert.Empty(_health.Problems());
        return _store;
    }

    protected override void Advance(TimeSpan span) => _time.Advance(span);

    protected override ValueTask CloseAsync()
    {
        _store?.Dispose();
        return ValueTask.CompletedTask;
    }
}
