// Applies committed entries to the state machine, in order, exactly once each; takes snapshots
// (Applier.Snapshots.cs) and installs those of a leader or of a backup.
//
// Threading: one loop applies; _turn keeps it apart from an installation. A snapshot is written
// beside it from an immutable image, so applying never waits for one (hazard 15).
// Failure: anything thrown here means the state machine can no longer be trusted: the node ends.
using System.Diagnostics;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Metrics;
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Snapshots;

namespace PgRaft.Consensus.Apply;

/// <summary>The way from committed to applied.</summary>
internal sealed partial class Applier : IAsyncDisposable
{
    private const int BatchEntries = 512;
    private const int BatchBytes = 1024 * 1024;

    // So few entries, and so small, that applying them takes less than waking the thread for it.
    private const int FewEntries = 4;
    private const int FewBytes = 64 * 1024;
    private readonly StateMachine _stateMachine;
    private readonly SegmentedLog _log;
    private readonly SnapshotStore _snapshots;
    private readonly ConfigurationHistory _configurations;
    private readonly Func<RuntimeOptions> _options;
    private readonly ILogger _logger;
    private readonly Action<Exception> _failed;
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly ProposalTable _proposals = new();
    private readonly IndexWaiters _waiters = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<LogRecord> _batch = new(BatchEntries);
    private readonly List<(PendingProposal Proposal, long Term, ApplyResult Result)> _answers = [];
    private long _commitIndex;
    private long _appliedIndex;
    private Task _loop = Task.CompletedTask;

    /// <summary>Prepares to continue after what the state machine has applied.</summary>
    public Applier(
        StateMachine stateMachine, SegmentedLog log, SnapshotStore snapshots,
        ConfigurationHistory configurations, Func<RuntimeOptions> options, ILogger logger,
        Action<Exception> failed)
    {
        _stateMachine = stateMachine;
        _log = log;
        _snapshots = snapshots;
        _configurations = configurations;
        _options = options;
        _logger = logger;
        _failed = failed;
        _appliedIndex = _commitIndex = stateMachine.AppliedIndex;
    }

    /// <summary>Raised after entries were applied; must not block.</summary>
    public event Action? Applied;

    /// <summary>
    /// Highest index applied. <c>AppliedIndex &lt;= commit index</c>; never goes back.
    /// </summary>
    public long AppliedIndex => Volatile.Read(ref _appliedIndex);

    /// <summary>What the log is to keep although a snapshot covers it.</summary>
    public LogRetention Retention { get; } = new();

    /// <summary>Told of what was applied and of snapshots.</summary>
    public NodeMeters Meters { get; init; } = new();

    /// <summary>Starts applying.</summary>
    public void Start()
    {
        _loop = RunAsync();
        OptionsChanged();
    }

    /// <summary>Registers a proposal; to be called before its entry can be committed.</summary>
    public PendingProposal Register(long index, long term) => _proposals.Add(index, term);

    /// <summary>
    /// Entries up to an index are committed and durable here. Calls may overtake each other. The
    /// caller's thread may apply a few entries and run what waits for them.
    /// </summary>
    public void CommitAdvanced(long commitIndex)
    {
        RaiseCommit(commitIndex);
        if (!TryApplyHere())
        {
            _signal.Writer.TryWrite(true);
        }
    }

    /// <summary>Waits until an index is applied.</summary>
    public ValueTask WaitAppliedAsync(long index, CancellationToken token) =>
        _waiters.WaitAsync(index, () => AppliedIndex, token);

    /// <summary>
    /// Makes a received snapshot the state: verified and durable first, then adopted by the log,
    /// then restored. When it throws nothing has changed.
    /// </summary>
    public async Task InstallReceivedAsync(SnapshotReceiver received, Action adopt)
    {
        bool isInstalled = await InstallAsync(
            () =>
            {
                received.CommitReceived();
                return Task.CompletedTask;
            },
            adopt).ConfigureAwait(false);
        if (isInstalled)
        {
            Meters.SnapshotsInstalled.Increment();
            LogInstalled(_logger, AppliedIndex);
        }
    }

    /// <summary>As <see cref="InstallReceivedAsync"/>, with whatever makes a snapshot current.
    /// </summary>
    /// <returns>Whether it went beyond what was applied.</returns>
    public async Task<bool> InstallAsync(Func<Task> commit, Action adopt)
    {
        bool isNewer;
        await _turn.WaitAsync(_stopping.Token).ConfigureAwait(false);
        try
        {
            await OwnThread.Begin();
            await commit().ConfigureAwait(false);
            var image = ReadCurrent(_snapshots);
            isNewer = image.AppliedIndex > AppliedIndex;
            if (isNewer)
            {
                _stateMachine.Restore(image);
                adopt();
                Volatile.Write(ref _appliedIndex, image.AppliedIndex);
            }
        }
        finally
        {
            _turn.Release();
        }

        _proposals.LoseUpTo(
            AppliedIndex, "This node fell behind and took over a snapshot of a later state.");
        Published();
        return isNewer;
    }

    /// <summary>
    /// Restores the state machine from the newest snapshot at start; false when there is none.
    /// </summary>
    public static bool Restore(SnapshotStore snapshots, StateMachine stateMachine)
    {
        if (snapshots.Current is null)
        {
            return false;
        }

        stateMachine.Restore(ReadCurrent(snapshots));
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _signal.Writer.TryComplete();
        await _loop.ConfigureAwait(false);

        // One that was asked for may be beginning, and a thread of the log or the engine may be
        // applying; none begins from here on.
        await _turn.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        var snapshotting = _snapshotting;
        _turn.Release();
        await snapshotting.ConfigureAwait(false);
        _proposals.LoseUpTo(long.MaxValue, "The node stopped before the write was applied.");
    }

    private async Task RunAsync()
    {
        try
        {
            while (await _signal.Reader.WaitToReadAsync(_stopping.Token).ConfigureAwait(false))
            {
                _signal.Reader.TryRead(out _);
                while (await ApplyNextAsync().ConfigureAwait(false))
                {
                    // There may be seconds of work, and the pool has one thread as a rule.
                    if (Volatile.Read(ref _commitIndex) > AppliedIndex)
                    {
                        await Task.Yield();
                    }
                }
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            _failed(e);
        }
    }

    private void RaiseCommit(long commitIndex)
    {
        long known = Volatile.Read(ref _commitIndex);
        while (commitIndex > known)
        {
            long before = Interlocked.CompareExchange(ref _commitIndex, commitIndex, known);
            known = before == known ? commitIndex : before;
        }
    }

    // False when the loop has to do it: it is at work, or there is more than a little to do.
    private bool TryApplyHere()
    {
        if (Volatile.Read(ref _commitIndex) - AppliedIndex > FewEntries
            || !_turn.Wait(0, CancellationToken.None))
        {
            return false;
        }

        try
        {
            // The log may still become durable after this was disposed.
            if (_stopping.IsCancellationRequested)
            {
                return false;
            }

            if (ReadBatch(FewEntries, FewBytes) && _batch.TrueForAll(IsLight))
            {
                ApplyRead();
            }

            return AppliedIndex == Volatile.Read(ref _commitIndex);
        }
        catch (Exception e)
        {
            _failed(e);
            return true;
        }
        finally
        {
            _turn.Release();
        }
    }

    private async ValueTask<bool> ApplyNextAsync()
    {
        await _turn.WaitAsync(_stopping.Token).ConfigureAwait(false);
        try
        {
            bool any = ReadBatch(BatchEntries, BatchBytes);
            if (any)
            {
                ApplyRead();
            }
            else
            {
                FollowOptions();
            }

            return any;
        }
        finally
        {
            _turn.Release();
        }
    }

    // With _turn held. False when there is nothing to apply.
    private bool ReadBatch(int maxEntries, int maxBytes)
    {
        _batch.Clear();
        long from = _appliedIndex + 1;
        long count = Math.Min(maxEntries, Volatile.Read(ref _commitIndex) - _appliedIndex);
        if (count <= 0)
        {
            return false;
        }

        return _log.Read(from, (int)count, maxBytes, _batch) > 0
            ? true
            : throw new InvariantViolatedException($"committed entry {from} is not in the log");
    }

    // A compaction may have any number of revisions to drop, and a value may be large.
    private static bool IsLight(LogRecord record) => record.Kind != EntryKind.Command
        || (record.Payload.Length <= FewBytes
            && Command.TryDecode(record.Payload.Span, out var command) == CommandDecodeStatus.Ok
            && command.Type != CommandType.KvCompact);

    // With _turn held. What was applied shows everywhere before anybody is told of it.
    private void ApplyRead()
    {
        long began = Stopwatch.GetTimestamp();
        _batch.ForEach(Apply);
        Meters.Apply.RecordSince(began);
        Published();
        foreach (var (proposal, term, result) in _answers)
        {
            proposal.Applied(term, result);
        }

        _answers.Clear();
        SnapshotIfDue();
    }

    private void Apply(LogRecord record)
    {
        Invariants.StateMachineSafety(_appliedIndex, record.Index, Volatile.Read(ref _commitIndex));
        ApplyResult result = default;
        if (record.Kind == EntryKind.Command)
        {
            result = _stateMachine.Apply(record.Index, record.Term, record.Payload.Span);
        }
        else
        {
            _stateMachine.Skip(record.Index, record.Term);
        }

        Volatile.Write(ref _appliedIndex, record.Index);
        if (_proposals.Take(record.Index) is { } proposal)
        {
            _answers.Add((proposal, record.Term, result));
        }
    }

    private void Published()
    {
        _waiters.Reached(AppliedIndex);
        Applied?.Invoke();
    }

    private static StateImage ReadCurrent(SnapshotStore snapshots)
    {
        using var stream = snapshots.OpenRead();
        try
        {
            return SnapshotReader.Read(stream);
        }
        catch (InvalidDataException e)
        {
            // The content has checksums of its own, which fail before that of the whole file.
            throw SnapshotStore.Damaged(stream, e);
        }
    }

    [LoggerMessage(301, LogLevel.Information,
        "installed the leader's snapshot at log index {Index}")]
    private static partial void LogInstalled(ILogger logger, long index);

}
