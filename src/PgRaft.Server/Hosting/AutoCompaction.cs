// Compacts the key-value history by itself: on the leader, once more than the threshold and a tenth
// of it have piled up, so that not every write is followed by a compaction.
// Threading: driven by the node's status changes; at most one proposal at a time.
// Failure: a proposal that did not go through is made again at a later change.
using Microsoft.Extensions.Logging;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Kv;
using PgRaft.Server.Logging;

namespace PgRaft.Server.Hosting;

internal sealed class AutoCompaction : IDisposable
{
    private readonly IRaftNode _node;
    private readonly StateMachine _state;
    private readonly ILogger _logger;
    private readonly CancellationToken _stopping;
    private int _thresholdRevisions;
    private int _isRunning;

    public AutoCompaction(
        IRaftNode node,
        StateMachine state,
        int thresholdRevisions,
        ILogger logger,
        CancellationToken stopping)
    {
        _node = node;
        _state = state;
        _logger = logger;
        _stopping = stopping;
        _thresholdRevisions = thresholdRevisions;
        node.StatusChanged += OnStatusChanged;
    }

    /// <summary>Changes how many revisions are kept; 0 = all.</summary>
    public void SetThreshold(int revisions)
    {
        Volatile.Write(ref _thresholdRevisions, revisions);
        OnStatusChanged();
    }

    public void Dispose() => _node.StatusChanged -= OnStatusChanged;

    private void OnStatusChanged()
    {
        if (DueRevision(_state.Kv) > 0 && !_stopping.IsCancellationRequested
            && Interlocked.Exchange(ref _isRunning, 1) == 0)
        {
            _ = Task.Run(CompactAsync);
        }
    }

    // 0 = nothing to do.
    private long DueRevision(KvView view)
    {
        long threshold = Volatile.Read(ref _thresholdRevisions);
        bool isDue = threshold > 0
            && view.Revision - view.CompactedRevision >= threshold + Math.Max(threshold / 10, 1)
            && _node.Status.Role == NodeRole.Leader;
        return isDue ? view.Revision - threshold : 0;
    }

    private async Task CompactAsync()
    {
        bool done = false;
        try
        {
            long revision = DueRevision(_state.Kv);
            if (revision > 0)
            {
                _logger.Compacting(revision);
                byte[] command = CommandEncoder.KvCompact(
                    revision, version: _node.DataVersion);
                await _node.ProposeAsync(command, 0, _stopping).ConfigureAwait(false);
                done = true;
            }
        }
        catch (Exception e)
        {
            _logger.CompactionFailed(e);
        }
        finally
        {
            Volatile.Write(ref _isRunning, 0);
        }

        // What was written meanwhile may be due already, and no change may follow.
        if (done)
            OnStatusChanged();
    }
}
