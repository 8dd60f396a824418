// Snapshots of this node's own state: when one is due, one that is asked for, and what they allow
// the log to drop.
//
// Threading: one snapshot is written at a time, begun with _turn held; it is written on a thread of
// its own from an immutable image. Failure: without room the old snapshot stays and the log keeps
// growing; any other failure of the disk ends the node.
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Apply;

internal sealed partial class Applier
{
    private static readonly Task<PgraftException?> Nothing =
        Task.FromResult<PgraftException?>(null);

    private long _noSnapshotBefore;
    private int _optionsChanged;

    // Its result is why there is no snapshot, or null.
    private Task<PgraftException?> _snapshotting = Nothing;

    /// <summary>Takes over changed options: what is due by them now is done now.</summary>
    public void OptionsChanged()
    {
        Volatile.Write(ref _optionsChanged, 1);
        _signal.Writer.TryWrite(true);
    }

    /// <summary>
    /// Returns a durable snapshot of all that was applied when the call began, and writes it if
    /// there is none. One that is being written is waited for first.
    /// </summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: nothing was applied
    /// yet. <see cref="StatusCode.DiskFull"/>, <see cref="StatusCode.Stopping"/>.</exception>
    /// <exception cref="OperationCanceledException">It may still be written.</exception>
    public async Task<SnapshotInfo> SnapshotAsync(CancellationToken token)
    {
        long wanted = AppliedIndex;
        if (wanted == 0)
        {
            throw new PgraftException(
                StatusCode.WrongState, "there is nothing to take a snapshot of",
                "Nothing has been applied on this node yet.");
        }

        while (_snapshots.Current is not { } current || current.Index < wanted)
        {
            var (running, isOwn) = await BeginSnapshotAsync(wanted, token).ConfigureAwait(false);
            var failure = await running.WaitAsync(token).ConfigureAwait(false);
            if (isOwn && failure is not null)
            {
                throw StorageErrors.Again(failure);
            }
        }

        return _snapshots.Current;
    }

    private async Task<(Task<PgraftException?> Running, bool IsOwn)> BeginSnapshotAsync(
        long wanted, CancellationToken token)
    {
        await _turn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            if (_stopping.IsCancellationRequested)
            {
                throw Stopping();
            }

            bool isOwn = _snapshotting.IsCompleted && !IsCovered(wanted);
            if (isOwn)
            {
                BeginSnapshot();
            }

            return (_snapshotting, isOwn);
        }
        finally
        {
            _turn.Release();
        }
    }

    private bool IsCovered(long index) => _snapshots.Current?.Index >= index;

    // With _turn held, as are the two below.
    private void SnapshotIfDue()
    {
        long since = AppliedIndex - (_snapshots.Current?.Index ?? 0);
        if (since >= _options().SnapshotIntervalEntries && _snapshotting.IsCompleted
            && AppliedIndex >= Volatile.Read(ref _noSnapshotBefore))
        {
            BeginSnapshot();
        }
    }

    private void BeginSnapshot()
    {
        var image = _stateMachine.Capture();
        _snapshotting = OwnThread.RunAsync(() => WriteSnapshot(image), CancellationToken.None);

        // So much may have been applied meanwhile that the next one is due, with no entry to come
        // that would notice.
        _snapshotting.ContinueWith(
            _ => _signal.Writer.TryWrite(true), CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
    }

    private void FollowOptions()
    {
        SnapshotIfDue();
        if (Interlocked.Exchange(ref _optionsChanged, 0) != 0
            && _snapshots.Current is { } snapshot)
        {
            Compact(snapshot);
        }
    }

    // What is kept for a member is never more than the snapshot it would be sent instead.
    private void Compact(SnapshotInfo snapshot)
    {
        long upTo = snapshot.Index - _options().MaxLogEntries;
        _log.CompactPrefix(_log.DiskBytes > snapshot.TotalBytes
            ? upTo
            : Math.Min(upTo, Retention.First - 1));
    }

    /// <summary>Writes a snapshot of an image of this state machine and compacts the log.</summary>
    /// <returns>Why there is none; null when there is, of this image or a newer one.</returns>
    internal PgraftException? WriteSnapshot(StateImage image)
    {
        try
        {
            WriteAndCompact(image);
            return null;
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            return Stopping();
        }
        catch (PgraftException e) when (e.Code == StatusCode.WrongState)
        {
            // A leader's newer one was installed meanwhile.
            return null;
        }
        catch (PgraftException e) when (e.Code == StatusCode.DiskFull)
        {
            // The log still has everything. Tried again when as much more has been applied.
            Volatile.Write(
                ref _noSnapshotBefore, AppliedIndex + _options().SnapshotIntervalEntries);
            Meters.SnapshotFailures.Increment();
            LogNotWritten(_logger, image.AppliedIndex, e.Message);
            return e;
        }
        catch (Exception e)
        {
            _failed(e);
            return e as PgraftException
                ?? new PgraftException(StatusCode.Internal, "no snapshot was written", e.Message);
        }
    }

    private void WriteAndCompact(StateImage image)
    {
        long start = Stopwatch.GetTimestamp();
        SnapshotInfo written;
        var (configurationIndex, configuration) = _configurations.At(image.AppliedIndex);
        using (var writer = _snapshots.CreateWriter(
            image.AppliedIndex, image.AppliedTerm, configurationIndex, configuration.Bytes.Span,
            image.DataVersion, _stopping.Token))
        {
            Core.Snapshots.SnapshotWriter.Write(writer.Content, image, _stopping.Token);
            written = writer.Commit();
        }

        Meters.SnapshotWrite.RecordSince(start);
        Compact(written);
        LogWritten(
            _logger, image.AppliedIndex, (long)Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }

    private static PgraftException Stopping() =>
        new(StatusCode.Stopping, "the node is stopping", "No snapshot was written.");

    [LoggerMessage(303, LogLevel.Warning,
        "no snapshot was written at log index {Index}, and the log keeps growing: {Reason}")]
    private static partial void LogNotWritten(ILogger logger, long index, string reason);

    [LoggerMessage(302, LogLevel.Debug, "wrote a snapshot at log index {Index} in {ElapsedMs} ms")]
    private static partial void LogWritten(ILogger logger, long index, long elapsedMs);
}
