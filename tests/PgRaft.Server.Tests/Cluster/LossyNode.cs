// A node whose forwarded requests can lose their answers on the way back.
// Threading: as the node it wraps. Failure: OutcomeUnknown, as when a connection breaks.
using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Core;

namespace PgRaft.Server.Tests.Cluster;

internal sealed class LossyNode(IRaftNode inner) : IRaftNode
{
    private Func<Task>? _beforeLoss;

    public event Action? StatusChanged
    {
        add => inner.StatusChanged += value;
        remove => inner.StatusChanged -= value;
    }

    public NodeStatus Status => inner.Status;

    public int LeaderId => inner.LeaderId;

    public NodeMeters Meters => inner.Meters;

    public IReadOnlyList<LeadershipChange> GetHistory() => inner.GetHistory();

    public int DataVersion => inner.DataVersion;

    public Task<PgraftException> Failure => inner.Failure;

    public Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask<ReadOnlyMemory<byte>>>?
        ForwardHandler
    { get => inner.ForwardHandler; set => inner.ForwardHandler = value; }

    /// <summary>Loses the next answer, once something was done after the leader gave it.</summary>
    public void LoseNextAnswer(Func<Task> then) => Volatile.Write(ref _beforeLoss, then);

    public async ValueTask<ReadOnlyMemory<byte>> ForwardToLeaderAsync(
        ReadOnlyMemory<byte> request, CancellationToken token)
    {
        var answer = await inner.ForwardToLeaderAsync(request, token);
        if (Interlocked.Exchange(ref _beforeLoss, null) is not { } then)
            return answer;
        await then();
        throw new PgraftException(StatusCode.OutcomeUnknown, "the answer was lost");
    }

    public Task StartAsync(CancellationToken token) => inner.StartAsync(token);

    public Task FoundAsync(CancellationToken token) => inner.FoundAsync(token);

    public ValueTask<Proposal> ProposeAsync(
        ReadOnlyMemory<byte> command, long expectedTerm, CancellationToken token) =>
        inner.ProposeAsync(command, expectedTerm, token);

    public ValueTask<long> ReadBarrierAsync(CancellationToken token) =>
        inner.ReadBarrierAsync(token);

    public ValueTask WaitCommittedAsync(long index, CancellationToken token) =>
        inner.WaitCommittedAsync(index, token);

    public ValueTask WaitAppliedAsync(long index, CancellationToken token) =>
        inner.WaitAppliedAsync(index, token);

    public Task AddMemberAsync(
        MemberAddress member, IProgress<JoinProgress>? progress, CancellationToken token) =>
        inner.AddMemberAsync(member, progress, token);

    public Task UpdateMemberAsync(MemberAddress member, CancellationToken token) =>
        inner.UpdateMemberAsync(member, token);

    public Task RemoveMemberAsync(int nodeId, CancellationToken token) =>
        inner.RemoveMemberAsync(nodeId, token);

    public Task<int> YieldLeadershipAsync(CancellationToken token) =>
        inner.YieldLeadershipAsync(token);

    public Task TransferLeadershipAsync(int targetId, CancellationToken token) =>
        inner.TransferLeadershipAsync(targetId, token);

    public Task PrepareToStopAsync() => inner.PrepareToStopAsync();

    public IReadOnlyList<MemberView> GetMembers() => inner.GetMembers();

    public NodeFacts GetFacts() => inner.GetFacts();

    public IReadOnlyList<FollowerProgress> GetReplication() => inner.GetReplication();

    public ValueTask<LogEntryView> ReadEntryAsync(long index, CancellationToken token) =>
        inner.ReadEntryAsync(index, token);

    public Task ProbeStorageAsync(CancellationToken token) => inner.ProbeStorageAsync(token);

    public Task<long> SnapshotAsync(CancellationToken token) => inner.SnapshotAsync(token);

    public Task<BackupInfo> BackupAsync(string path, CancellationToken token) =>
        inner.BackupAsync(path, token);

    public Task<BackupInfo> ReadBackupAsync(string path, CancellationToken token) =>
        inner.ReadBackupAsync(path, token);

    public Task<BackupInfo> RestoreAsync(string path, CancellationToken token) =>
        inner.RestoreAsync(path, token);

    public Task<RecoveryResult> RecoverAloneAsync(CancellationToken token) =>
        inner.RecoverAloneAsync(token);

    public void Reload(RuntimeOptions options) => inner.Reload(options);

    public Task StopAsync(CancellationToken token) => inner.StopAsync(token);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
