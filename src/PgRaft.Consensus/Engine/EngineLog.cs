// The engine's view of our log, term file and snapshots: every slot it calls is answered here.
//
// It derives from WriteAheadLog only because one member of the engine's interface can be
// implemented nowhere else (docs/adr/0003-own-log.md); the base is disposed at once and its files
// deleted, so nothing of it is ever used.
//
// Why it is hard: entries are visible (to replication, to votes) as soon as they are appended, but
// count only when they are durable. A follower waits for durability before it answers (hazard 1).
// A leader goes on at once, so that its own sync runs beside its followers'; the commit index
// then waits for the sync: CommitIndex <= DurableIndex always.
//
// Threading: any thread; _gate orders appends, commits and installations. It is held for memory
// work, and for the sync of the term file, which is rare. Failure: a storage error is final and
// ends the node, as a broken invariant does: Failed is raised, whoever the caller is.
using System.Runtime.InteropServices;
using DotNext.IO.Log;
using DotNext.Net.Cluster.Consensus.Raft;
using DotNext.Net.Cluster.Consensus.Raft.StateMachine;
using PgRaft.Consensus.Apply;
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Engine;

/// <summary>The replicated log as the engine sees it.</summary>
internal sealed partial class EngineLog
    : WriteAheadLog, IPersistentState, IAuditTrail<IRaftLogEntry>, IAuditTrail
{
    private readonly Lock _gate = new();
    private readonly SegmentedLog _log;
    private readonly TermStore _terms;
    private readonly SnapshotStore _snapshots;
    private readonly ConfigurationHistory _configurations;
    private readonly Applier _applier;
    private readonly IndexWaiters _commitWaiters = new();
    private long _commitIndex;
    private long _wantedCommitIndex;
    private long _ledTerm;
    private long _closedTerm;
    private long _ownConfigurations;
    private long _roundsBegun;

    /// <summary>Takes over the opened storage.</summary>
    public EngineLog(
        string scratchDirectory,
        SegmentedLog log,
        TermStore terms,
        SnapshotStore snapshots,
        ConfigurationHistory configurations,
        Applier applier)
        : base(UnusedBase(scratchDirectory), IStateMachine.CreateNoOp())
    {
        Dispose();
        Directory.Delete(scratchDirectory, recursive: true);
        _log = log;
        _terms = terms;
        _snapshots = snapshots;
        _configurations = configurations;
        _applier = applier;
        _commitIndex = _wantedCommitIndex = snapshots.Current?.Index ?? 0;
        log.Durable = OnDurable;
    }

    /// <summary>Raised when an entry changed the configuration in effect; must not block.</summary>
    public event Action? ConfigurationChanged;

    /// <summary>
    /// Raised after the term, the vote, the end of the log or the commit index changed; must not
    /// block.
    /// </summary>
    public event Action? Changed;

    /// <summary>
    /// Told of what must end the node: the engine would only log it and go on.
    /// </summary>
    public Action<Exception>? Failed { get; set; }

    /// <summary>Highest index known committed. Never goes back.</summary>
    public long CommitIndex => Volatile.Read(ref _commitIndex);

    /// <summary>Current term.</summary>
    public long Term => _terms.Term;

    /// <summary>Whom this node voted for in <see cref="Term"/>; 0 = nobody.</summary>
    public int VotedFor => _terms.VotedFor;

    /// <summary>Decides when the leader's next round begins; by default at once.</summary>
    public RoundPacer Pacer { get; init; } = RoundPacer.None;

    /// <summary>What the log is to keep although a snapshot covers it.</summary>
    public LogRetention Retention => _applier.Retention;

    /// <summary>The log underneath, for reading.</summary>
    public SegmentedLog Records => _log;

    /// <summary>Elections this node started.</summary>
    public long Elections { get; private set; }

    /// <summary>Configurations this node has appended as leader since its start.</summary>
    public long OwnConfigurations => Volatile.Read(ref _ownConfigurations);

    /// <summary>Rises whenever the engine begins a round, before it has looked how far the log
    /// goes; and sometimes when it does not.</summary>
    public long RoundsBegun => Volatile.Read(ref _roundsBegun);

    // What the engine asks first in each round.
    long IAuditTrail.LastEntryIndex
    {
        get
        {
            Interlocked.Increment(ref _roundsBegun);
            Pacer.Begun();
            long last = _log.LastIndex;
            _log.WriteGathered();
            return last;
        }
    }

    long IAuditTrail.LastCommittedEntryIndex => CommitIndex;

    long IPersistentState.Term => _terms.Term;

    int IPersistentState.Version => 0;

    bool IAuditTrail.IsLogEntryLengthAlwaysPresented => true;

    /// <summary>Term of the entry at an index; -1 when it is not known here.</summary>
    public long TermAt(long index)
    {
        long term = _log.TermAt(index);
        return term < 0 && _snapshots.Current is { } s && s.Index == index ? s.Term : term;
    }

    /// <summary>
    /// Appends a command of the leader of <paramref name="term"/> and registers its waiter, so
    /// that it cannot be applied before somebody waits for it.
    /// </summary>
    /// <returns>The waiter; null when the term is over or closed.</returns>
    public PendingProposal? Propose(long term, ReadOnlySpan<byte> command)
    {
        PendingProposal pending;
        lock (_gate)
        {
            if (_terms.Term != term || _closedTerm == term)
            {
                return null;
            }

            long index = AppendOwn(term, EntryKind.Command, command, Pacer.WritersAreMany);
            pending = _applier.Register(index, term);
            Pacer.Appended(index);
        }

        return pending;
    }

    /// <summary>Whether the log grows in a term: not while its leader hands over.</summary>
    public void CloseTerm(long term, bool closed)
    {
        lock (_gate)
        {
            _closedTerm = closed ? term : 0;
        }
    }

    /// <summary>Waits until an index is committed here.</summary>
    public ValueTask WaitCommittedAsync(long index, CancellationToken token) =>
        _commitWaiters.WaitAsync(index, () => CommitIndex, token);

    /// <summary>
    /// Begins a term of which this node is the only voter, before the engine starts.
    /// </summary>
    /// <remarks>
    /// The engine makes the only voter a leader in the term it finds; but another node may have
    /// led in that term before it was removed. So the term is made new.
    /// <i>Invariant</i>: at most one leader a term (Ongaro 2014 §3.4).
    /// </remarks>
    public async Task BeginSoleTermAsync(int nodeId)
    {
        long index;
        await OwnThread.Begin();
        lock (_gate)
        {
            SaveTerm(_terms.Term + 1, nodeId);
            index = AppendOwn(_terms.Term, EntryKind.Empty, default);
        }

        await _log.WaitDurableAsync(index).ConfigureAwait(false);
    }

    ValueTask<long> IAuditTrail<IRaftLogEntry>.AppendAsync<T>(T entry, CancellationToken token)
    {
        if (!entry.TryGetMemory(out var payload))
        {
            return ValueTask.FromException<long>(
                new NotSupportedException("The engine appended an entry of an unknown form."));
        }

        var kind = entry.IsConfiguration ? EntryKind.Configuration
            : payload.IsEmpty ? EntryKind.Empty : EntryKind.Command;
        long index;
        lock (_gate)
        {
            if (entry.Term != _terms.Term || entry.Term == _closedTerm)
            {
                return ValueTask.FromException<long>(new NotLeaderException());
            }

            index = AppendOwn(entry.Term, kind, payload.Span);
            if (kind == EntryKind.Configuration)
            {
                _configurations.Append(index, entry.Term, Configuration.Decode(payload.Span));
                Volatile.Write(ref _ownConfigurations, _ownConfigurations + 1);
            }
        }

        if (kind == EntryKind.Configuration)
        {
            ConfigurationChanged?.Invoke();
        }

        Changed?.Invoke();
        return new(index);
    }

    async ValueTask IAuditTrail<IRaftLogEntry>.AppendAsync<T>(
        ILogEntryProducer<T> entries, long startIndex, bool skipCommitted, CancellationToken token)
    {
        var records = new List<LogRecord>(checked((int)entries.RemainingCount));
        while (await entries.MoveNextAsync().ConfigureAwait(false))
        {
            records.Add(((EngineEntry)(object)entries.Current!).Record);
        }

        if (records.Count == 0)
        {
            return;
        }

        if (AppendReceived(records))
        {
            ConfigurationChanged?.Invoke();
        }

        // Hazard 1: nothing is acknowledged before it is on disk. Not cancellable: the entries
        // are in the log whether or not anybody still waits.
        await _log.WaitDurableAsync(records[^1].Index, continueOnWriter: true)
            .ConfigureAwait(false);
        Invariants.DurabilityBeforeAcknowledgement(records[^1].Index, _log.DurableIndex);
        Changed?.Invoke();
    }

    async ValueTask IAuditTrail<IRaftLogEntry>.AppendAsync<T>(
        T entry, long startIndex, CancellationToken token)
    {
        if (entry is not IncomingSnapshot snapshot)
        {
            throw new NotSupportedException("Only a snapshot may be put at a given index.");
        }

        await InstallAsync(snapshot).ConfigureAwait(false);
    }

    ValueTask<long> IAuditTrail.CommitAsync(long endIndex, CancellationToken token)
    {
        long committed;
        Task? wait;
        lock (_gate)
        {
            long before = _wantedCommitIndex;
            _wantedCommitIndex = Math.Max(before, Math.Min(endIndex, _log.LastIndex));
            committed = _wantedCommitIndex - before;
            wait = _ledTerm == _terms.Term && _closedTerm != _ledTerm
                ? Pacer.AfterRound(committed, _wantedCommitIndex, _log.LastIndex)
                : null;
        }

        AdvanceCommit();
        return wait is null ? new(committed) : AfterAsync(wait, committed);
    }

    // The engine begins no round before this has ended.
    private static async ValueTask<long> AfterAsync(Task wait, long committed)
    {
        await wait.ConfigureAwait(false);
        return committed;
    }

    ValueTask IAuditTrail.WaitForApplyAsync(CancellationToken token) =>
        _applier.WaitAppliedAsync(CommitIndex, token);

    ValueTask IAuditTrail.WaitForApplyAsync(long index, CancellationToken token) =>
        _applier.WaitAppliedAsync(index, token);

    Task IAuditTrail.InitializeAsync(CancellationToken token) => Task.CompletedTask;

    async ValueTask<TResult> IAuditTrail<IRaftLogEntry>.ReadAsync<TResult>(
        ILogEntryConsumer<IRaftLogEntry, TResult> reader, long startIndex, long endIndex,
        CancellationToken token)
    {
        bool held = startIndex >= _log.FirstIndex
            || (reader.LogEntryMetadataOnly && startIndex == endIndex);
        if (held)
        {
            // Hazard 32: after a snapshot the engine still works off rounds from before it, whose
            // end lies before the member's next entry.
            var range = new LogRange(this, startIndex, Math.Max(endIndex, startIndex - 1));
            return await reader.ReadAsync<EngineEntry, LogRange>(range, null, token)
                .ConfigureAwait(false);
        }

        // Members open the file themselves: they go on sending after the engine has its answer.
        var current = _snapshots.Current!;
        var snapshot = new OutgoingSnapshot(current.Index, current.Term, Stream.Null);
        return await reader.ReadAsync<OutgoingSnapshot, OutgoingSnapshot[]>(
            [snapshot], current.Index, token).ConfigureAwait(false);
    }

    /// <summary>Opens the newest snapshot for sending; it stays readable after a newer one has
    /// replaced it.</summary>
    public Stream OpenSnapshot(out SnapshotInfo info) => _snapshots.OpenRaw(out info);

    private static Options UnusedBase(string directory) => new()
    {
        Location = directory,
        MemoryManagement = MemoryManagementStrategy.PrivateMemory,
        ChunkSize = Environment.SystemPageSize,
    };

    private bool AppendReceived(List<LogRecord> records)
    {
        bool changed = false;
        lock (_gate)
        {
            var before = _configurations.Latest;
            Invariants.LeaderAppendOnly(_ledTerm, _terms.Term);
            RequireCommittedKept(records);
            _log.AppendRange(CollectionsMarshal.AsSpan(records));
            Invariants.DurabilityBeforeAcknowledgement(_commitIndex, _log.DurableIndex);
            _configurations.DropTruncated(_log.TermAt, _commitIndex);
            foreach (var record in records)
            {
                if (record.Kind == EntryKind.Configuration
                    && record.Index > _configurations.Latest.Index)
                {
                    _configurations.Append(
                        record.Index, record.Term, Configuration.Decode(record.Payload.Span));
                }
            }

            changed = _configurations.Latest != before;
        }

        return changed;
    }

    private void RequireCommittedKept(List<LogRecord> records)
    {
        foreach (var record in records)
        {
            if (record.Index > _commitIndex)
            {
                return;
            }

            Invariants.LeaderCompleteness(record.Index, _log.TermAt(record.Index), record.Term);
        }
    }

    // As the leader of the term, called with _gate held.
    private long AppendOwn(
        long term, EntryKind kind, ReadOnlySpan<byte> payload, bool gathers = false)
    {
        _ledTerm = term;
        return _log.Append(term, kind, payload, gathers);
    }

    // Called with _gate held; the only place that moves the commit index.
    private void SetCommit(long commitIndex)
    {
        try
        {
            Invariants.CommitMonotonic(_commitIndex, commitIndex);
            Invariants.DurabilityBeforeAcknowledgement(commitIndex, _log.DurableIndex);
        }
        catch (InvariantViolatedException e)
        {
            Failed?.Invoke(e);
            throw;
        }

        Volatile.Write(ref _commitIndex, commitIndex);
    }

    private void OnDurable(long durableIndex)
    {
        AdvanceCommit();
        Changed?.Invoke();
    }

    private void AdvanceCommit()
    {
        long commitIndex;
        lock (_gate)
        {
            commitIndex = Math.Min(_wantedCommitIndex, _log.DurableIndex);
            if (commitIndex <= _commitIndex)
            {
                return;
            }

            SetCommit(commitIndex);
        }

        _applier.CommitAdvanced(commitIndex);
        _commitWaiters.Reached(commitIndex);
    }

    private async Task InstallAsync(IncomingSnapshot snapshot)
    {
        await _applier.InstallReceivedAsync(
            snapshot.File,
            () =>
            {
                lock (_gate)
                {
                    AdoptSnapshot(snapshot.Index, snapshot.Term);
                }
            }).ConfigureAwait(false);
        _commitWaiters.Reached(CommitIndex);
        ConfigurationChanged?.Invoke();
        Changed?.Invoke();
    }

    private void AdoptSnapshot(long index, long term)
    {
        var configuration = Configuration.Decode(_snapshots.Current!.Configuration.Span);
        if (_log.TermAt(index) == term)
        {
            _log.CompactPrefix(index);
            _configurations.Rebase(index, configuration);
        }
        else
        {
            _log.Reset(index, term);
            _configurations.Reset(index, configuration);
        }

        _wantedCommitIndex = Math.Max(_wantedCommitIndex, index);
        SetCommit(Math.Max(_commitIndex, index));
    }
}
