// A voter as the engine sees it: this node itself, or a peer behind the network.
// Threading: any thread. Failure: an unreachable peer is a MemberUnavailableException, which the
// engine counts; nothing else may leave these methods except cancellation.
using System.Net;
using DotNext.Net.Cluster;
using DotNext.Net.Cluster.Consensus.Raft;

namespace PgRaft.Consensus.Engine;

/// <summary>What this node and its peers have in common.</summary>
internal abstract class Member : IRaftClusterMember, IDisposable
{
    private IRaftClusterMember.ReplicationState _state;

    /// <summary>Creates the member.</summary>
    protected Member(MemberAddress address)
    {
        Address = address;
        Id = MemberId.FromNodeId(address.NodeId);
        EndPoint = new MemberEndPoint(address);
    }

    event Action<ClusterMemberStatusChangedEventArgs> IClusterMember.MemberStatusChanged
    {
        add { }
        remove { }
    }

    /// <summary>Node id and address.</summary>
    public MemberAddress Address { get; }

    /// <inheritdoc/>
    public ClusterMemberId Id { get; }

    /// <inheritdoc/>
    public EndPoint EndPoint { get; }

    /// <inheritdoc/>
    public abstract bool IsRemote { get; }

    bool IClusterMember.IsLeader => false;

    ClusterMemberStatus IClusterMember.Status => ClusterMemberStatus.Unknown;

    ref IRaftClusterMember.ReplicationState IRaftClusterMember.State => ref _state;

    /// <summary>Next index the engine will send; 0 before it led.</summary>
    public long NextIndex => Volatile.Read(ref _state.NextIndex);

    /// <summary>
    /// Makes the engine's next round begin at an index after an answer of <i>rejected</i> that
    /// names the index before it.
    /// </summary>
    /// <remarks>The engine goes at least one entry back after such an answer, so it is put one
    /// entry ahead.</remarks>
    protected void ContinueAt(long nextIndex) =>
        Volatile.Write(ref _state.NextIndex, nextIndex + 1);

    /// <summary>Makes the engine's next round begin at an index, after an answer that leaves the
    /// place where it is.</summary>
    protected void BeginAt(long nextIndex) => Volatile.Write(ref _state.NextIndex, nextIndex);

    /// <inheritdoc/>
    public abstract Task<Result<bool>> VoteAsync(
        long term, long lastLogIndex, long lastLogTerm, CancellationToken token);

    /// <inheritdoc/>
    public abstract Task<Result<PreVoteResult>> PreVoteAsync(
        long term, long lastLogIndex, long lastLogTerm, CancellationToken token);

    /// <inheritdoc/>
    public abstract Task<Result<ReplicationStatus>> AppendEntriesAsync<TEntry, TList>(
        long term, TList entries, long prevLogIndex, long prevLogTerm, long commitIndex,
        CancellationToken token)
        where TEntry : IRaftLogEntry
        where TList : IReadOnlyList<TEntry>;

    /// <inheritdoc/>
    public abstract Task<Result<HeartbeatResult>> InstallSnapshotAsync(
        long term, IRaftLogEntry snapshot, long snapshotIndex,
        DotNext.IO.IDataTransferObject configuration, long configurationVersion,
        CancellationToken token);

    /// <inheritdoc/>
    public virtual ValueTask CancelPendingRequestsAsync() => ValueTask.CompletedTask;

    // Hazard 7: the engine's own follower barrier does not check the quorum;
    // RaftNode.ReadBarrierAsync does.
    Task<long?> IRaftClusterMember.SynchronizeAsync(long commitIndex, CancellationToken token) =>
        Task.FromException<long?>(
            new NotSupportedException("Read barriers do not go through members."));

    Task<bool> IClusterMember.ResignAsync(CancellationToken token) =>
        Task.FromException<bool>(
            new NotSupportedException("Leadership is given up on the leader."));

    ValueTask<IReadOnlyDictionary<string, string>> IClusterMember.GetMetadataAsync(
        bool refresh, CancellationToken token) =>
        new(System.Collections.ObjectModel.ReadOnlyDictionary<string, string>.Empty);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases what the member holds.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
