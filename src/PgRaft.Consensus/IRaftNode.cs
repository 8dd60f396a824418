using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Core;

namespace PgRaft.Consensus;

/// <summary>
/// One member of a cluster: what the layers above may ask of consensus.
/// </summary>
/// <remarks>
/// <para><i>Threading</i>: all members may be called from any thread, concurrently.</para>
/// <para><i>Failures</i>: every method reports trouble with a <see cref="PgraftException"/> whose
/// <see cref="StatusCode"/> says whether the thing was certainly not done
/// (<see cref="StatusCode.NotDone"/>, <see cref="StatusCode.NotLeader"/>,
/// <see cref="StatusCode.NoLeader"/>), or may have been done
/// (<see cref="StatusCode.OutcomeUnknown"/>). Cancellation of the token before the proposal
/// left gives <see cref="StatusCode.NotDone"/>, afterwards
/// <see cref="StatusCode.OutcomeUnknown"/>.</para>
/// </remarks>
public interface IRaftNode : IAsyncDisposable
{
    /// <summary>The node's state now: an immutable picture, cheap to take.</summary>
    NodeStatus Status { get; }

    /// <summary>
    /// <see cref="NodeStatus.LeaderId"/> of <see cref="Status"/>, without taking the rest.
    /// </summary>
    int LeaderId { get; }

    /// <summary>Newest data version that every member is known to read: the one to encode proposals
    /// in (<see cref="DataVersions"/>). It goes back when a member joins that reads less.</summary>
    int DataVersion { get; }

    /// <summary>
    /// Raised after <see cref="Status"/> has changed. Called on core threads, never concurrently
    /// with itself; the handler must not block or throw.
    /// </summary>
    event Action? StatusChanged;

    /// <summary>
    /// Ends when the node has failed for good (storage error, broken invariant) with the reason,
    /// or is cancelled by an orderly stop.
    /// </summary>
    Task<PgraftException> Failure { get; }

    /// <summary>Opens the storage, binds the port and starts taking part.</summary>
    /// <exception cref="PgraftException">Stamp of another node, damaged storage, busy port,
    /// unwritable directory.</exception>
    Task StartAsync(CancellationToken token);

    /// <summary>Founds a cluster of this node alone; returns once it leads.</summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/> when a configuration
    /// exists; <see cref="StatusCode.OutcomeUnknown"/> when it may be on disk, but this node does
    /// not lead it yet.</exception>
    Task FoundAsync(CancellationToken token);

    /// <summary>
    /// Proposes a command on the leader and waits until it is committed and applied here.
    /// </summary>
    /// <param name="command">Encoded command; copied before the method returns.</param>
    /// <param name="expectedTerm">The only term in which the command may take effect, as it says
    /// itself; 0 = any. A term that has not come yet is refused with
    /// <see cref="StatusCode.NotDone"/>. When the term is over, the proposal's result is that of an
    /// earlier copy of the request, or has status <see cref="StatusCode.NotDone"/>: no copy was or
    /// will be applied.</param>
    /// <param name="token">Ends the waiting.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.NotLeader"/> on another member;
    /// forwarding is the caller's.</exception>
    ValueTask<Proposal> ProposeAsync(
        ReadOnlyMemory<byte> command, long expectedTerm, CancellationToken token);

    /// <summary>
    /// Waits until this node has applied everything that was committed anywhere when the call
    /// began (read index; works on every member).
    /// </summary>
    /// <returns>The applied index that was reached.</returns>
    ValueTask<long> ReadBarrierAsync(CancellationToken token);

    /// <summary>Waits until <paramref name="index"/> is known committed here.</summary>
    ValueTask WaitCommittedAsync(long index, CancellationToken token);

    /// <summary>Waits until <paramref name="index"/> is applied here.</summary>
    ValueTask WaitAppliedAsync(long index, CancellationToken token);

    /// <summary>
    /// Sends an opaque request to the current leader and returns its answer. The leader's
    /// <see cref="ForwardHandler"/> produces it.
    /// </summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.NoLeader"/> when none is known or it
    /// could not be reached; <see cref="StatusCode.OutcomeUnknown"/> when the connection ended or
    /// time ran out after the request had left.</exception>
    ValueTask<ReadOnlyMemory<byte>> ForwardToLeaderAsync(
        ReadOnlyMemory<byte> request, CancellationToken token);

    /// <summary>
    /// Answers requests that other members forwarded here. Set before <see cref="StartAsync"/>.
    /// It must answer errors inside its own format; an exception closes the connection.
    /// </summary>
    Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask<ReadOnlyMemory<byte>>>? ForwardHandler
    {
        get;
        set;
    }

    /// <summary>
    /// Leader only: catches the node up, then makes it a voter; returns when the new
    /// configuration is committed.
    /// </summary>
    /// <param name="member">Who it is and where.</param>
    /// <param name="progress">Told whenever the node has more than before; called on core threads,
    /// must not block. Null = nobody asks.</param>
    /// <param name="token">Ends the attempt; what was not committed by then is undone, unless the
    /// configuration has been sent (<see cref="StatusCode.OutcomeUnknown"/>).</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: a member already,
    /// another change under way, or the node refuses. <see cref="StatusCode.TimedOut"/>: no
    /// majority has confirmed this node as the leader.</exception>
    Task AddMemberAsync(
        MemberAddress member, IProgress<JoinProgress>? progress, CancellationToken token);

    /// <summary>
    /// Leader only: changes where peers reach a member, this node included; returns when the new
    /// configuration is committed. The member itself takes its place from its settings.
    /// </summary>
    /// <exception cref="PgraftException">As for <see cref="AddMemberAsync"/>.</exception>
    Task UpdateMemberAsync(MemberAddress member, CancellationToken token);

    /// <summary>
    /// Leader only: removes a voter; returns when the new configuration is committed, and the
    /// removed node has been told if it can be reached.
    /// Refused with <see cref="StatusCode.WrongState"/> when most of those who would remain do not
    /// answer. Removing the leader itself is refused with <see cref="StatusCode.WrongState"/>: call
    /// <see cref="YieldLeadershipAsync"/> first and ask the new leader.
    /// </summary>
    Task RemoveMemberAsync(int nodeId, CancellationToken token);

    /// <summary>
    /// Gives up leadership, to the most up-to-date other that answers if one takes it, so that this
    /// node can be removed, and returns once another member leads (its node id), or throws
    /// <see cref="StatusCode.TimedOut"/>. Refused with <see cref="StatusCode.WrongState"/> during a
    /// membership change, and when most of the others do not answer.
    /// </summary>
    Task<int> YieldLeadershipAsync(CancellationToken token);

    /// <summary>
    /// Leader only: hands leadership to a member and returns once this node has seen it lead a
    /// newer term, with an entry of that term committed. Meanwhile proposals wait.
    /// </summary>
    /// <param name="targetId">A member, which may be this node, if it is confirmed to lead; 0 = the
    /// most up-to-date other that answers.</param>
    /// <param name="token">Ends the waiting, and the transfer while it can still be called off.
    /// </param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> when the target is
    /// not a member; <see cref="StatusCode.WrongState"/> when it does not answer, nobody is there,
    /// or a transfer or membership change is in progress; <see cref="StatusCode.NotDone"/> when it
    /// did not catch up or take over in time, or another leads;
    /// <see cref="StatusCode.OutcomeUnknown"/> when the waiting ended after it was asked.
    /// </exception>
    Task TransferLeadershipAsync(int targetId, CancellationToken token);

    /// <summary>
    /// If this node leads, hands leadership to another member, to be called before
    /// <see cref="StopAsync"/>. Returns when another leads, and within an election timeout or two
    /// seconds in any case; does not throw.
    /// </summary>
    Task PrepareToStopAsync();

    /// <summary>Members of the committed configuration, by node id.</summary>
    IReadOnlyList<MemberView> GetMembers();

    /// <summary>What this node has measured and heard of the members and of its disk.</summary>
    NodeFacts GetFacts();

    /// <summary>Replication progress of each follower, on the leader; empty elsewhere.</summary>
    IReadOnlyList<FollowerProgress> GetReplication();

    /// <summary>What this node has counted and timed since its start.</summary>
    NodeMeters Meters { get; }

    /// <summary>The last changes of role, term and leader since the start, oldest first; at most
    /// a hundred.</summary>
    IReadOnlyList<LeadershipChange> GetHistory();

    /// <summary>Reads one log entry.</summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.NotFound"/> below the first or
    /// beyond the last index.</exception>
    ValueTask<LogEntryView> ReadEntryAsync(long index, CancellationToken token);

    /// <summary>
    /// Writes and syncs a probe file in the data directory (the disk part of the self-test).
    /// </summary>
    /// <exception cref="PgraftException">Disk full, I/O error.</exception>
    Task ProbeStorageAsync(CancellationToken token);

    /// <summary>
    /// Takes a snapshot of what is applied here, unless one covers it already; waits for one that
    /// is being written.
    /// </summary>
    /// <returns>Index of the snapshot, durable.</returns>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: nothing was applied
    /// yet. <see cref="StatusCode.DiskFull"/>: the old one stays.</exception>
    /// <exception cref="OperationCanceledException">It goes on being written.</exception>
    Task<long> SnapshotAsync(CancellationToken token);

    /// <summary>
    /// Writes the state as applied here to a file that must not exist, complete and durable or not
    /// at all. A caller that wants everything acknowledged so far makes a read barrier first.
    /// </summary>
    /// <param name="path">Absolute.</param>
    /// <param name="token">Ends the writing; nothing is left then.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/>,
    /// <see cref="StatusCode.NotAllowed"/>, <see cref="StatusCode.DiskFull"/>,
    /// <see cref="StatusCode.IoError"/>, all about the path.</exception>
    Task<BackupInfo> BackupAsync(string path, CancellationToken token);

    /// <summary>Reads a whole backup file and compares its checksum.</summary>
    /// <exception cref="PgraftException">As for <see cref="BackupAsync"/>;
    /// <see cref="StatusCode.BadArgument"/> also when it is damaged.</exception>
    Task<BackupInfo> ReadBackupAsync(string path, CancellationToken token);

    /// <summary>
    /// Founds a cluster of this node alone with the state of a backup; returns once it leads.
    /// </summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: this node belongs to
    /// a cluster. <see cref="StatusCode.BadArgument"/>: the file is damaged, no backup, or of
    /// another cluster; nothing has changed. <see cref="StatusCode.OutcomeUnknown"/>: time ran out
    /// after the state was taken over.</exception>
    Task<BackupInfo> RestoreAsync(string path, CancellationToken token);

    /// <summary>
    /// After a majority is lost for ever: makes this node the only member of a new founding, with
    /// all that its log holds; returns once it leads.
    /// </summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: a leader is known, a
    /// majority answers, a member that answers has a newer log, or this node is no member; nothing
    /// has changed. <see cref="StatusCode.OutcomeUnknown"/>: time ran out, or the disk failed,
    /// when the configuration was being written or had been.</exception>
    Task<RecoveryResult> RecoverAloneAsync(CancellationToken token);

    /// <summary>Takes over the settings that may change at run time.</summary>
    void Reload(RuntimeOptions options);

    /// <summary>
    /// Orderly stop: resigns if it leads, closes connections, syncs and closes the storage.
    /// </summary>
    Task StopAsync(CancellationToken token);
}
