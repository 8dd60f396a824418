// This node in its own elections.
// Threading: any thread. Failure: none.
using DotNext.IO;
using DotNext.Net.Cluster.Consensus.Raft;

namespace PgRaft.Consensus.Engine;

/// <summary>The local voter.</summary>
/// <param name="address">This node.</param>
/// <param name="mayCampaign">
/// Whether the node may stand for election now. It may not while the engine counts votes by an
/// older configuration than the newest in the log (hazard 17), nor shortly after it gave up
/// leadership on purpose.
/// </param>
internal sealed class LocalMember(MemberAddress address, Func<bool> mayCampaign) : Member(address)
{
    /// <inheritdoc/>
    public override bool IsRemote => false;

    /// <inheritdoc/>
    public override Task<Result<bool>> VoteAsync(
        long term, long lastLogIndex, long lastLogTerm, CancellationToken token) =>

        // The vote for itself is already on disk: the engine stored it with the new term.
        mayCampaign()
            ? Task.FromResult(new Result<bool> { Term = term, Value = true })
            : Task.FromCanceled<Result<bool>>(new CancellationToken(canceled: true));

    /// <inheritdoc/>
    public override Task<Result<PreVoteResult>> PreVoteAsync(
        long term, long lastLogIndex, long lastLogTerm, CancellationToken token) =>
        Task.FromResult(new Result<PreVoteResult>
        {
            Term = term,
            Value = mayCampaign() ? PreVoteResult.Accepted : PreVoteResult.RejectedByLeader,
        });

    /// <inheritdoc/>
    public override Task<Result<ReplicationStatus>> AppendEntriesAsync<TEntry, TList>(
        long term, TList entries, long prevLogIndex, long prevLogTerm, long commitIndex,
        CancellationToken token) => throw NotSent();

    /// <inheritdoc/>
    public override Task<Result<HeartbeatResult>> InstallSnapshotAsync(
        long term, IRaftLogEntry snapshot, long snapshotIndex, IDataTransferObject configuration,
        long configurationVersion, CancellationToken token) => throw NotSent();

    private static InvariantViolatedException NotSent() => new("the engine replicates to itself");
}
