using System.Data.Common;

using Whistle.Alerting;
using Whistle.Backups;
using Whistle.Data;
using Whistle.Detectors;
using Whistle.Ingest;
using Whistle.Ingest.Gateways;
using Whistle.Remediation;
using Whistle.State;
using Whistle.State.Files;
using Whistle.State.Health;

namespace Whistle.Hosting;

/// <summary>Opens state and telemetry before anything runs on them.</summary>
static class DataOpening
{
    /// <exception cref="StartException">They cannot be used.</exception>
    public static async Task OpenAsync(IServiceProvider services, WhistleOptions options, CancellationToken cancellation)
    {
        try
        {
            await OpenStateAndStoreAsync(services, options, cancellation);
            // Each stage makes its tables; on a full disk it is one of them that does not fit.
            services.GetRequiredService<Gateway>();
            services.GetRequiredService<RulesHost>();
            services.GetRequiredService<RemediationHost>();
            services.GetRequiredService<AlertingHost>();
            await RestoreMark.TakeInAsync(options.DataFolder, services, options.Time.GetUtcNow(), cancellation);
            services.GetRequiredService<DiskWatch>().Open();
        }
        catch (Exception e) when (e is StateException or StoreException)
        {
            throw new StartException(e.Message);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DbException)
        {
            throw new StartException(
                $"The data cannot be opened: {e.Message} Free space on that disk, let this user write there, "
                + "or name another folder with --data.", e);
        }
    }

    static async Task OpenStateAndStoreAsync(IServiceProvider services, WhistleOptions options, CancellationToken cancellation)
    {
        var state = services.GetRequiredService<StateDatabase>();
        await state.ExpectAsync(options.DataFolder, StateStages.HasHistory(options.DataFolder), options.AcceptState, cancellation);
        // A state beside which there is telemetry is complete. One that is there is changed by the process alone that has the store, unless
        // it is in PostgreSQL: a first start that may not make tables there must leave nothing that a second takes for history.
        var isFirst = state.IsNew || state.IsPostgreSql;
        if (isFirst)
            await ReadyAsync(state);
        services.OpenIngest(options.ForIngest());
        if (!isFirst)
            await ReadyAsync(state);
        await state.RememberInAsync(options.DataFolder, cancellation);

        Task ReadyAsync(StateDatabase database) => StateStages.ReadyAsync(
            database, services.GetRequiredService<HealthBoard>(), options.Time, services.GetRequiredService<ILogger<StateDatabase>>(),
            cancellation);
    }
}
