// A node whose answers a test decides. By default it is a leader of one that applies what is
// proposed at once. Threading: the test's and the server's threads; the status is swapped whole.
using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Core;
using PgRaft.Core.Commands;

namespace PgRaft.Server.Tests.Fakes;

internal sealed class FakeNode : IRaftNode
{
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource<PgraftException> _failure = new();
    private volatile bool _isStarted;
    private NodeStatus _status = new()
    {
        Role = NodeRole.Leader,
        Term = 3,
        LeaderId = 1,
        LeaseDeadlineNs = long.MaxValue,
        Members = 1,
        FirstIndex = 1,
    };

    public FakeNode(StateMachine state)
    {
        StateMachine = state;
        OnPropose = ApplyAsync;
    }

    public event Action? StatusChanged;

    public StateMachine StateMachine { get; }

    public Func<ReadOnlyMemory<byte>, long, CancellationToken, ValueTask<Proposal>>
        OnPropose
    { get; set; }

    public Func<CancellationToken, ValueTask<long>> OnReadBarrier { get; set; } = _ => new(0L);

    public Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask<ReadOnlyMemory<byte>>>
        OnForward
    { get; set; } = (_, _) => throw new PgraftException(StatusCode.NoLeader, "no leader is known");

    public Func<CancellationToken, Task> OnFound { get; set; } = _ => Task.CompletedTask;

    public Func<MemberAddress, CancellationToken, Task> OnAdd { get; set; } =
        (_, _) => Task.CompletedTask;

    public Func<MemberAddress, CancellationToken, Task> OnUpdate { get; set; } =
        (_, _) => Task.CompletedTask;

    /// <summary>Who wants to know of the addition that is under way.</summary>
    public IProgress<JoinProgress>? Progress { get; private set; }

    public Func<int, CancellationToken, Task> OnRemove { get; set; } = (_, _) => Task.CompletedTask;

    public Func<CancellationToken, Task<int>> OnYield { get; set; } = _ => Task.FromResult(2);

    public Func<int, CancellationToken, Task> OnTransfer { get; set; } =
        (_, _) => Task.CompletedTask;

    public Func<Task> OnPrepareToStop { get; set; } = () => Task.CompletedTask;

    public Func<long, CancellationToken, ValueTask> OnWait { get; set; } = (_, _) => default;

    public Func<long, LogEntryView> OnReadEntry { get; set; } =
        _ => throw new PgraftException(StatusCode.NotFound, "no such entry");

    public Func<Task> OnProbe { get; set; } = () => Task.CompletedTask;

    public Func<Task> OnStart { get; set; } = () => Task.CompletedTask;

    public Func<CancellationToken, Task<long>> OnSnapshot { get; set; } = _ => Task.FromResult(7L);

    public Func<string, CancellationToken, Task<BackupInfo>> OnBackup { get; set; } =
        (_, _) => Task.FromResult(SomeBackup);

    public Func<string, CancellationToken, Task<BackupInfo>> OnReadBackup { get; set; } =
        (_, _) => Task.FromResult(SomeBackup);

    public Func<string, CancellationToken, Task<BackupInfo>> OnRestore { get; set; } =
        (_, _) => Task.FromResult(SomeBackup);

    public Func<CancellationToken, Task<RecoveryResult>> OnRecover { get; set; } =
        _ => Task.FromResult(new RecoveryResult(5, 8, 2));

    public static BackupInfo SomeBackup { get; } = new()
    {
        ClusterId = "test",
        NodeId = 3,
        Version = "1.0",
        Index = 41,
        Term = 4,
        CurrentTerm = 6,
        Revision = 30,
        StateHash = "000102030405060708090a0b0c0d0e0f",
        TakenAt = DateTimeOffset.UnixEpoch.AddMilliseconds(1234),
        TotalBytes = 900,
    };

    public IReadOnlyList<MemberView> Members { get; set; } =
        [new MemberView(new MemberAddress(1, "10.0.0.1", 7001), true, true)];

    public IReadOnlyList<FollowerProgress> Replication { get; set; } = [];

    public NodeFacts Facts { get; set; } = new(
        [new PeerView(new MemberAddress(1, "10.0.0.1", 7001), true, null) { Version = "1.0" }],
        null,
        DataVersions.Newest);

    public int DataVersion { get; set; } = DataVersions.Newest;

    public RuntimeOptions? Reloaded { get; private set; }

    public int Proposals { get; private set; }

    public bool IsStopped { get; private set; }

    public Func<ReadOnlyMemory<byte>, CancellationToken, ValueTask<ReadOnlyMemory<byte>>>?
        ForwardHandler
    { get; set; }

    public Task<PgraftException> Failure => _failure.Task;

    public NodeStatus Status
    {
        get => Volatile.Read(ref _status);
        set
        {
            Volatile.Write(ref _status, value);
            StatusChanged?.Invoke();
        }
    }

    public int LeaderId => Status.LeaderId;

    public NodeMeters Meters { get; } = new();

    public IReadOnlyList<LeadershipChange> History { get; set; } = [];

    public IReadOnlyList<LeadershipChange> GetHistory() => History;

    public void Fail(PgraftException failure) => _failure.TrySetResult(failure);

    /// <summary>Becomes a follower of node 2, or of nobody.</summary>
    public void Follow(int leaderId) => Status = Status with
    {
        Role = NodeRole.Follower,
        LeaderId = leaderId,
        LeaseDeadlineNs = 0,
        LeaderDeadlineNs = leaderId == 0 ? 0 : long.MaxValue,
    };

    public void Lead() => Status = Status with
    {
        Role = NodeRole.Leader,
        LeaderId = 1,
        Term = Status.Term + 1,
        LeaseDeadlineNs = long.MaxValue,
    };

    public ValueTask<Proposal> ApplyAsync(
        ReadOnlyMemory<byte> command, long expectedTerm, CancellationToken token)
    {
        lock (_lock)
        {
            if (expectedTerm > Status.Term)
                throw new PgraftException(StatusCode.NotDone, "the term is another");
            if (expectedTerm != 0 && expectedTerm < Status.Term)
                return new(OutcomeOfPastTerm(command.Span));
            Proposals++;
            long index = StateMachine.AppliedIndex + 1;
            var result = StateMachine.Apply(index, Status.Term, command.Span);
            var applied = Status with
            {
                AppliedIndex = index,
                CommitIndex = index,
                LastIndex = index,
            };
            Volatile.Write(ref _status, applied);
            return new(new Proposal(index, Status.Term, result));
        }
    }

    private Proposal OutcomeOfPastTerm(ReadOnlySpan<byte> bytes)
    {
        Command.TryDecode(bytes, out var command);
        return StateMachine.TryFindResult(command.Id, out var first)
            ? new Proposal(first.Index, Status.Term, first)
            : new Proposal(0, Status.Term, new ApplyResult
            {
                Status = StatusCode.NotDone,
                Revision = StateMachine.Kv.Revision,
            });
    }

    public async Task StartAsync(CancellationToken token)
    {
        await OnStart();
        _isStarted = true;
    }

    public Task FoundAsync(CancellationToken token) => OnFound(token);

    public ValueTask<Proposal> ProposeAsync(
        ReadOnlyMemory<byte> command, long expectedTerm, CancellationToken token) =>
        OnPropose(command, expectedTerm, token);

    public ValueTask<long> ReadBarrierAsync(CancellationToken token) => OnReadBarrier(token);

    public ValueTask WaitCommittedAsync(long index, CancellationToken token) =>
        OnWait(index, token);

    public ValueTask WaitAppliedAsync(long index, CancellationToken token) => OnWait(index, token);

    public ValueTask<ReadOnlyMemory<byte>> ForwardToLeaderAsync(
        ReadOnlyMemory<byte> request, CancellationToken token) => OnForward(request, token);

    public Task AddMemberAsync(
        MemberAddress member, IProgress<JoinProgress>? progress, CancellationToken token)
    {
        Progress = progress;
        return OnAdd(member, token);
    }

    public Task UpdateMemberAsync(MemberAddress member, CancellationToken token) =>
        OnUpdate(member, token);

    public Task RemoveMemberAsync(int nodeId, CancellationToken token) => OnRemove(nodeId, token);

    public Task<int> YieldLeadershipAsync(CancellationToken token) => OnYield(token);

    public Task TransferLeadershipAsync(int targetId, CancellationToken token) =>
        OnTransfer(targetId, token);

    public Task PrepareToStopAsync() => OnPrepareToStop();

    public IReadOnlyList<MemberView> GetMembers() => Members;

    // As the real one, which has nothing to tell before.
    public NodeFacts GetFacts() => _isStarted
        ? Facts
        : throw new InvalidOperationException("The node is not started.");

    public IReadOnlyList<FollowerProgress> GetReplication() => Replication;

    public ValueTask<LogEntryView> ReadEntryAsync(long index, CancellationToken token) =>
        new(OnReadEntry(index));

    public Task ProbeStorageAsync(CancellationToken token) => OnProbe();

    public Task<long> SnapshotAsync(CancellationToken token) => OnSnapshot(token);

    public Task<BackupInfo> BackupAsync(string path, CancellationToken token) =>
        OnBackup(path, token);

    public Task<BackupInfo> ReadBackupAsync(string path, CancellationToken token) =>
        OnReadBackup(path, token);

    public Task<BackupInfo> RestoreAsync(string path, CancellationToken token) =>
        OnRestore(path, token);

    public Task<RecoveryResult> RecoverAloneAsync(CancellationToken token) => OnRecover(token);

    public void Reload(RuntimeOptions options) => Reloaded = options;

    public Task StopAsync(CancellationToken token)
    {
        IsStopped = true;
        _failure.TrySetCanceled(CancellationToken.None);
        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync() => default;
}
