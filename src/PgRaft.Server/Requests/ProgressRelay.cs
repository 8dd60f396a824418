// Tells a client how far an addition has come, and gives the request its time again whenever the
// node has more than before: the time limit of an addition is one on standing still.
// Threading: progress is reported on any thread; one task relays it, and only the newest. Failure:
// a client that cannot be told is left untold; that it has gone ends the request elsewhere.
using System.Diagnostics;
using System.Globalization;
using System.Threading.Channels;

using PgRaft.Consensus;

namespace PgRaft.Server.Requests;

internal sealed class ProgressRelay(RequestContext context, int nodeId) : IProgress<JoinProgress>
{
    // How often whoever waits is shown something.
    private static readonly TimeSpan NoticeInterval = TimeSpan.FromSeconds(3);

    private readonly Channel<JoinProgress> _newest = Channel.CreateBounded<JoinProgress>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });

    // The client gives up a second after its time: it must hear of progress more often than that.
    private readonly TimeSpan _frameInterval =
        TimeSpan.FromMilliseconds(Math.Min(1000, context.Header.TimeoutMs / 3.0));

    private long _noticeAt = Stopwatch.GetTimestamp();
    private long _frameAt = Stopwatch.GetTimestamp();
    private bool _isDeaf;

    public void Report(JoinProgress value) => _newest.Writer.TryWrite(value);

    /// <summary>Relays until the addition has ended, and ends as it does.</summary>
    public async Task WhileAsync(Task addition)
    {
        _ = addition.ContinueWith(
            _ => _newest.Writer.TryComplete(),
            CancellationToken.None,
            TaskContinuationOptions.ExecuteSynchronously,
            TaskScheduler.Default);
        await foreach (var progress in _newest.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            // Whether a configuration can be committed is not a matter of this node's progress.
            if (progress.Stage != JoinStage.Committing)
                context.Prolong();
            if (Stopwatch.GetElapsedTime(_frameAt) >= _frameInterval)
                await TellAsync(progress).ConfigureAwait(false);
        }

        await addition.ConfigureAwait(false);
    }

    private async ValueTask TellAsync(JoinProgress progress)
    {
        _frameAt = Stopwatch.GetTimestamp();
        bool isDue = Stopwatch.GetElapsedTime(_noticeAt) >= NoticeInterval;
        if (isDue)
            _noticeAt = _frameAt;
        try
        {
            if (!_isDeaf)
                await context.ReportAsync(isDue ? Text(progress) : null).ConfigureAwait(false);
        }
        catch (Exception e)
            when (e is IOException or ObjectDisposedException or OperationCanceledException)
        {
            _isDeaf = true;
        }
    }

    private string Text(JoinProgress progress) => progress.Stage switch
    {
        JoinStage.Snapshot => string.Create(
            CultureInfo.InvariantCulture,
            $"node {nodeId} takes the snapshot: {Megabytes(progress.SnapshotSentBytes)} of "
            + $"{Megabytes(progress.SnapshotBytes)} MB"),
        JoinStage.Committing => string.Create(
            CultureInfo.InvariantCulture,
            $"node {nodeId} has caught up; the new configuration is being committed"),
        _ => string.Create(
            CultureInfo.InvariantCulture,
            $"node {nodeId} catches up: log index {progress.MatchIndex} of {progress.LastIndex}"),
    };

    private static string Megabytes(long bytes) =>
        (bytes / (1024.0 * 1024.0)).ToString("0.0", CultureInfo.InvariantCulture);
}
