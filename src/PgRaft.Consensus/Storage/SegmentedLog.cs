// The durable Raft log: entries in memory at once, on disk a moment later, one write and one
// fdatasync for everything that came meanwhile (docs/storage.md gives format and crash anatomy).
//
// Why it is hard: entries are replaced as well as appended. Nothing on disk is ever overwritten: a
// replacement is appended, and its lower index supersedes what stands before it, in one atomic
// record. So whatever prefix of the writes a crash leaves is a log this node really had.
//
// Threading: one lock (_gate) over the in-memory state, never held during disk access. One writer
// thread ("pgraft log") does all writing, woken by an event of its own. Index properties are read
// without the lock. Public members may be called from any thread.
// Failure: a failed write or sync is final: Failed is raised once, waiting calls fail, every later
// call throws. The process must end; the next one decides by what it finds on disk.
using PgRaft.Consensus.Metrics;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

/// <summary>Contiguous entries FirstIndex..LastIndex, durable up to DurableIndex.</summary>
/// <remarks>
/// <para><i>Invariant</i>: <c>FirstIndex - 1 &lt;= DurableIndex &lt;= LastIndex</c>; terms never
/// decrease with the index.</para>
/// <para><i>Threading</i>: all members may be called from any thread. The three indexes are read
/// without a lock, each by itself.</para>
/// <para><i>Source</i>: Ongaro 2014 §3.5 (log replication), §5.1 (compaction), §10.2.1 (writing
/// to the leader's disk in parallel).</para>
/// </remarks>
public sealed partial class SegmentedLog : IDisposable
{
    private readonly Lock _gate = new();
    private readonly LogOptions _options;
    private readonly SegmentFiles _files;
    private readonly SegmentChain _chain;
    private readonly TermRuns _terms;
    private readonly RecentEntries _recent = new();
    private readonly DurabilityWaiters _waiters = new();
    private long _firstIndex;
    private long _lastIndex;
    private long _durableIndex;

    private SegmentedLog(LogOptions options, RecoveredLog recovered)
    {
        _options = options;
        _files = new SegmentFiles(options, OnDefect);
        _chain = recovered.Chain;
        _terms = recovered.Terms;
        _nextSegmentId = recovered.NextSegmentId;
        foreach (Segment segment in _chain.All)
        {
            _files.Adopt(segment);
        }

        _firstIndex = recovered.FirstIndex;
        _lastIndex = recovered.LastIndex;
        _durableIndex = recovered.LastIndex;
        _nextToWrite = recovered.LastIndex + 1;
        _recent.Reset(_nextToWrite);
        _writer = new Thread(RunWriter) { Name = "pgraft log", IsBackground = true };
    }

    /// <summary>
    /// Raised by the writer thread after each sync, with the new <see cref="DurableIndex"/>. The
    /// handler must be cheap and must not throw. A truncation at the same moment can have lowered
    /// the index again: it is a hint to look, never a fact to commit by.
    /// </summary>
    public Action<long>? Durable { get; set; }

    /// <summary>Raised once, when storage has failed for good, by the thread that found out; from
    /// then on every call throws the reason.</summary>
    public Action<Exception>? Failed { get; set; }

    /// <summary>Told of syncs and bytes; to be set before anything is appended.</summary>
    public NodeMeters Meters { get; set; } = new();

    /// <summary>Index of the first entry; <see cref="LastIndex"/> + 1 when there is none.</summary>
    public long FirstIndex => Volatile.Read(ref _firstIndex);

    /// <summary>Index of the last entry, durable or not; the base index if there is none.</summary>
    public long LastIndex => Volatile.Read(ref _lastIndex);

    /// <summary>Index up to which everything is on disk.</summary>
    public long DurableIndex => Volatile.Read(ref _durableIndex);

    /// <summary>How long its syncs take.</summary>
    public SyncTimes SyncTimes { get; } = new();

    /// <summary>Bytes of the segment files, the prepared one included.</summary>
    public long DiskBytes => _files.DiskBytes;

    /// <summary>How long the disk has had the newest write, sync or new segment in hand, in
    /// milliseconds; 0 when it has none.</summary>
    public long BusyMs => _busy.Ms;

    /// <summary>
    /// Opens the log, repairs a torn tail, and makes it follow on the newest snapshot: a log that
    /// ends before the snapshot, or has another term at its index, is emptied (all it holds is in
    /// the snapshot or was never committed).
    /// </summary>
    /// <param name="options">Where and how large.</param>
    /// <param name="baseIndex">Last index of the newest durable snapshot; 0 = none.</param>
    /// <param name="baseTerm">Term at <paramref name="baseIndex"/>; 0 when there is none.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.IoError"/>: damage, with file and
    /// offset, or entries missing between snapshot and log. <see cref="StatusCode.DiskFull"/>.
    /// </exception>
    public static SegmentedLog Open(LogOptions options, long baseIndex, long baseTerm)
    {
        options.Validate();
        ArgumentOutOfRangeException.ThrowIfNegative(baseIndex);
        ArgumentOutOfRangeException.ThrowIfNegative(baseTerm);
        options.Io.CreateDirectory(options.Directory);
        RecoveredLog recovered = new LogRecovery(options).Run();
        var log = new SegmentedLog(options, recovered);
        try
        {
            log.Connect(recovered.IsEmptyChain, baseIndex, baseTerm);
            log._writer.Start();
            return log;
        }
        catch
        {
            log.CloseFiles();
            throw;
        }
    }

    /// <summary>Term of the entry at an index, or of the one before the first.</summary>
    /// <returns>-1 when the index is compacted away or beyond the end.</returns>
    public long TermAt(long index)
    {
        lock (_gate)
        {
            return index >= _firstIndex - 1 && index <= _lastIndex ? _terms.TermAt(index) : -1;
        }
    }

    /// <summary>Waits until all entries up to an index are on disk.</summary>
    /// <param name="index">Not greater than <see cref="LastIndex"/>.</param>
    /// <exception cref="PgraftException">Storage failed; <see cref="StatusCode.NotDone"/>: the
    /// entry was replaced or dropped while it was waited for; <see cref="StatusCode.Stopping"/>.
    /// </exception>
    /// <param name="continueOnWriter">The continuation may run on the thread that writes the log,
    /// which saves waking another. It must be short, and never wait for the log.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such entry.</exception>
    public ValueTask WaitDurableAsync(long index, bool continueOnWriter = false)
    {
        if (index >= Volatile.Read(ref _gathersFrom))
        {
            WriteGathered();
        }

        if (MayWriteHere())
        {
            WriteUntilDurable(index);
        }

        lock (_gate)
        {
            ThrowIfUnusable();
            ArgumentOutOfRangeException.ThrowIfGreaterThan(index, _lastIndex);
            return index <= _durableIndex
                ? default
                : new ValueTask(_waiters.Add(index, continueOnWriter));
        }
    }

    /// <summary>
    /// Allows entries up to an index to be dropped; whole segments only, and never the newest, so
    /// <see cref="FirstIndex"/> may stay below; nothing while a replacement is being written. Files
    /// are deleted in the background.
    /// </summary>
    /// <param name="upToIndex">Must be covered by a durable snapshot.</param>
    /// <exception cref="PgraftException">Storage has failed.</exception>
    public void CompactPrefix(long upToIndex)
    {
        lock (_gate)
        {
            ThrowIfUnusable();
            if (_pendingCut != NoCut)
            {
                // What was cut is still in its segments until the record that supersedes it is on
                // disk: without its predecessors a restart could not make sense of it.
                return;
            }

            List<Segment> dropped = _chain.TakePrefix(upToIndex);
            long first = _firstIndex;
            foreach (Segment segment in dropped)
            {
                first = segment.Count > 0 ? segment.Last + 1 : first;
            }

            _terms.DropBefore(first - 1);
            Volatile.Write(ref _firstIndex, first);
            _files.Discard(dropped);
        }
    }

    /// <summary>
    /// Drops every entry and continues after a snapshot that was installed. Returns at once; the
    /// files follow in order before any later entry. A crash in between leaves the old log beside
    /// the new snapshot, which <see cref="Open"/> resolves as this call would have.
    /// </summary>
    /// <param name="baseIndex">Last index of the snapshot, which must be durable already.</param>
    /// <param name="baseTerm">Its term.</param>
    /// <exception cref="InvariantViolatedException">The snapshot ends before the log begins: it is
    /// older than one that was there.</exception>
    /// <exception cref="PgraftException">Storage has failed.</exception>
    public void Reset(long baseIndex, long baseTerm)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(baseIndex);
        ArgumentOutOfRangeException.ThrowIfNegative(baseTerm);
        bool wasIdle;
        lock (_gate)
        {
            ThrowIfUnusable();
            Invariants.CommitMonotonic(_firstIndex - 1, baseIndex);
            Forget(baseIndex, baseTerm);
            _resetPending = true;
            wasIdle = TakeIdle();
        }

        WakeIf(wasIdle);
    }

    /// <summary>Writes and syncs what is queued, then closes. Calls in progress end with
    /// <see cref="StatusCode.Stopping"/>.</summary>
    /// <exception cref="InvalidOperationException">On the thread that writes the log, for whose end
    /// this waits; nothing was changed.</exception>
    public void Dispose()
    {
        if (Thread.CurrentThread == _writer)
        {
            throw new InvalidOperationException("The log cannot be closed by its own thread.");
        }

        bool wasIdle;
        lock (_gate)
        {
            if (_closing)
            {
                return;
            }

            _closing = true;
            _gathersFrom = NothingGathers;
            wasIdle = TakeIdle();
        }

        WakeIf(wasIdle);
        _writer.Join();
        lock (_gate)
        {
            _waiters.FailFrom(0, Stopping);
        }

        CloseFiles();
    }

    // Before the writer runs, so without the lock.
    private void Connect(bool isNew, long baseIndex, long baseTerm)
    {
        if (!isNew && _firstIndex > baseIndex + 1)
        {
            throw new PgraftException(
                StatusCode.IoError,
                $"the log in \"{_options.Directory}\" begins at index {_firstIndex}, "
                + $"but the newest valid snapshot ends at index {baseIndex}",
                "The snapshot that covered the entries between is missing or damaged.",
                "Remove this node from the cluster, empty its data directory and add it again "
                + "under a new node id.");
        }

        if (isNew || _lastIndex < baseIndex || TermAt(baseIndex) != baseTerm)
        {
            Forget(baseIndex, baseTerm);
            BeginChain();
        }
    }

    // All entries are gone; the next one is the one after the base.
    private void Forget(long baseIndex, long baseTerm)
    {
        _obsolete.AddRange(_chain.TakeAll());
        _terms.Reset(baseIndex, baseTerm);
        _recent.Reset(baseIndex + 1);
        _nextToWrite = baseIndex + 1;
        _inFlightEnd = Superseded;
        _pendingCut = NoCut;
        _gathersFrom = NothingGathers;
        _waiters.CompleteElsewhere(baseIndex);
        _waiters.FailFrom(baseIndex + 1, Replaced);
        Volatile.Write(ref _durableIndex, baseIndex);
        Volatile.Write(ref _lastIndex, baseIndex);
        Volatile.Write(ref _firstIndex, baseIndex + 1);
    }

    private void ThrowIfUnusable()
    {
        if (_failure is not null)
        {
            throw StorageErrors.Again(_failure);
        }

        if (_closing)
        {
            throw Stopping();
        }
    }

    private static PgraftException Stopping() =>
        new(StatusCode.Stopping, "the log is closed");

    private static PgraftException Replaced() => new(
        StatusCode.NotDone, "the log entry was replaced by a newer leader's before it was durable");

    private void CloseFiles()
    {
        _wakeUp.Dispose();
        _files.Dispose();
        _obsolete.ForEach(segment => segment.Dispose());
        foreach (Segment segment in _chain.All)
        {
            segment.Dispose();
        }
    }
}
