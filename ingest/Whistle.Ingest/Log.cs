using Microsoft.Extensions.Logging;

using Whistle.Inventory;

namespace Whistle.Ingest;

static partial class Log
{
    [LoggerMessage(Level = LogLevel.Error, Message = "A batch of {Samples} samples was not stored; senders are asked to retry. {Reason}")]
    public static partial void BatchFailed(this ILogger logger, int samples, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Kafka's client, {Facility}: {Text}")]
    public static partial void KafkaSaid(this ILogger logger, string facility, string text);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Finding}")]
    public static partial void TopicFinding(this ILogger logger, string finding);

    [LoggerMessage(Level = LogLevel.Error, Message = "Kafka takes no telemetry; senders are asked to retry. {Reason}")]
    public static partial void KafkaTakesNothing(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Kafka takes telemetry again.")]
    public static partial void KafkaTakesAgain(this ILogger logger);

    [LoggerMessage(Level = LogLevel.Error, Message = "The record at {Place} cannot be decoded and goes to the dead letters: {Reason}")]
    public static partial void DeadLetter(this ILogger logger, string place, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Partition {Partition} is read here from now on.")]
    public static partial void PartitionTaken(this ILogger logger, int partition);

    [LoggerMessage(Level = LogLevel.Information, Message = "Partition {Partition} is no longer read here.")]
    public static partial void PartitionGiven(this ILogger logger, int partition);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The reading of Kafka is tried again: {Reason}")]
    public static partial void ReadingFailed(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Partition {Partition}: {Records} records that the store lacked are in it now.")]
    public static partial void Replayed(this ILogger logger, int partition, long records);

    [LoggerMessage(Level = LogLevel.Information, Message = "The store accepts samples again.")]
    public static partial void StoreRecovered(this ILogger logger);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Maintenance of the store did not finish and is retried: {Reason}")]
    public static partial void MaintenanceFailed(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Head filled from the store: {Series} series, {Samples} samples.")]
    public static partial void HeadFilled(this ILogger logger, int series, long samples);

    [LoggerMessage(Level = LogLevel.Information, Message = "Remote write from {Cluster}/{Node} refused: {Reason}")]
    public static partial void WriteRefused(this ILogger logger, ClusterId cluster, string? node, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Samples are refused: {Reason}")]
    public static partial void DiskFull(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The disk has space again; samples are accepted.")]
    public static partial void DiskFree(this ILogger logger);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The disk is full: the hour of telemetry from {Hour:u} was dropped early.")]
    public static partial void HourDropped(this ILogger logger, DateTimeOffset hour);

    [LoggerMessage(Level = LogLevel.Error, Message = "A batch could not be committed; only that batch was refused.")]
    public static partial void CommitFailed(this ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "The process is running out of memory or handles; new work is refused: {Reason}")]
    public static partial void Short(this ILogger logger, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Watching disk, memory and handles failed; it continues")]
    public static partial void WatchFailed(this ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "The telemetry log stopped unexpectedly.")]
    public static partial void LogStopped(this ILogger logger, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "The telemetry of {What} was set aside in {Folder}: {Reason}.")]
    public static partial void SetAside(this ILogger logger, string what, string reason, string folder);

    [LoggerMessage(Level = LogLevel.Error, Message = "The damaged telemetry of {What} could not be moved to {Folder}: {Reason}")]
    public static partial void NotSetAside(this ILogger logger, string what, string folder, string reason);

    [LoggerMessage(
        Level = LogLevel.Error, Message = "The hot store {File} cannot be read: {Reason} What can be read is saved into a new file.")]
    public static partial void HotStoreDamaged(this ILogger logger, string file, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The manifest {File} was written again: {Reason}.")]
    public static partial void ManifestRepaired(this ILogger logger, string file, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "The telemetry in {Folder} is of format 1 and becomes format 2: "
        + "{Hours} sealed hours get manifests. A copy of the hot store is kept in {Copy}.")]
    public static partial void StoreUpgrades(this ILogger logger, string folder, int hours, string copy);

    [LoggerMessage(Level = LogLevel.Information, Message = "The hot store {File} did not exist and was created.")]
    public static partial void HotStoreMade(this ILogger logger, string file);

    [LoggerMessage(Level = LogLevel.Information, Message = "The format file {File} was written.")]
    public static partial void FormatWritten(this ILogger logger, string file);

    [LoggerMessage(Level = LogLevel.Information,
        Message = "{File} was left by a process that ended while it was writing, and was deleted: the store has everything in it.")]
    public static partial void LeftoverDeleted(this ILogger logger, string file);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The mark of the last commit in {Folder} was not written: {Reason}")]
    public static partial void MarkNotWritten(this ILogger logger, string folder, string reason);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "The hot store is new; {Samples} samples that the head still had were written to it again.")]
    public static partial void HotStoreRefilled(this ILogger logger, long samples);

    [LoggerMessage(Level = LogLevel.Warning, Message = "InfluxDB at {Endpoint} refused {Samples} samples for good: {Reason} Line: {Line}")]
    public static partial void LineRefused(this ILogger logger, string endpoint, int samples, string line, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "InfluxDB at {Endpoint} refused {Samples} more samples of the same batch for good.")]
    public static partial void LinesRefused(this ILogger logger, string endpoint, long samples);

    [LoggerMessage(Level = LogLevel.Information, Message = "The bucket {Bucket} was created in InfluxDB at {Endpoint}.")]
    public static partial void BucketMade(this ILogger logger, string bucket, string endpoint);

    [LoggerMessage(Level = LogLevel.Warning, Message = "InfluxDB is not as it should be: {Reason}")]
    public static partial void InfluxTrouble(this ILogger logger, string reason);
}
