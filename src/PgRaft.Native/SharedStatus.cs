// Writes the node's picture into shared memory, by the sequence protocol of shim/pgraft_abi.h: odd
// while a write is under way, so that no reader takes a torn picture for a whole one.
// Threading: one writer at a time; the lock also covers the texts of a failure before the host
// exists. Failure: none; the memory belongs to the caller for the life of the process.
using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Logging;

namespace PgRaft.Native;

internal sealed unsafe class SharedStatus : IStatusSink
{
    private readonly PgraftStatus* _memory;
    private readonly WakeEvent _wake;
    private readonly Func<long> _droppedRecords;
    private readonly Lock _lock = new();
    private readonly AnswerKeeper _answers;
    private readonly ulong _epoch;
    private readonly int _nodeId;
    private ulong _sequence;
    private int _publishedState = -1;

    public SharedStatus(
        PgraftStatus* memory, ulong epoch, int nodeId, AnswerTimes atStart, WakeEvent wake,
        Func<long> droppedRecords)
    {
        _memory = memory;
        _epoch = epoch;
        _nodeId = nodeId;
        _wake = wake;
        _droppedRecords = droppedRecords;
        _answers = new AnswerKeeper(TimeProvider.System, atStart);

        // A predecessor may have died in the middle of a write.
        _sequence = Volatile.Read(ref memory->Sequence) & ~1UL;
    }

    public void Publish(in HostStatus status)
    {
        bool stateChanged;
        lock (_lock)
        {
            BeginWrite();
            WriteNode(status.Node);
            WriteTimes(status.Times);
            WriteWorker(status);
            EndWrite();
            stateChanged = _publishedState != (int)status.State;
            _publishedState = (int)status.State;
        }

        if (stateChanged)
            _wake.Signal();
    }

    public void PublishRequests(long processed, int pending, bool isFull)
    {
        lock (_lock)
        {
            BeginWrite();
            WriteRequests(processed, pending, isFull);
            EndWrite();
        }
    }

    /// <summary>Publishes a failure that came before there was a node.</summary>
    public void PublishError(PgraftException error)
    {
        var status = new HostStatus(
            WorkerState.Error, new NodeStatus(), 0, 0, false, error.Code, ErrorText.Of(error));
        Publish(status with { Times = _answers.Note(status.State, status.Node) });
    }

    private void BeginWrite()
    {
        Volatile.Write(ref _memory->Sequence, ++_sequence);
        Interlocked.MemoryBarrier();
    }

    private void EndWrite()
    {
        Interlocked.MemoryBarrier();
        Volatile.Write(ref _memory->Sequence, ++_sequence);
    }

    private void WriteRequests(long processed, int pending, bool isFull)
    {
        _memory->RequestsProcessed = processed;
        _memory->RequestsPending = pending;
        _memory->QueueFull = isFull ? 1 : 0;
    }

    private void WriteNode(NodeStatus node)
    {
        // Read alone and without the sequence, so it must be one write.
        Volatile.Write(ref _memory->LeaseDeadlineNs, node.LeaseDeadlineNs);
        _memory->LeaderDeadlineNs = node.LeaderDeadlineNs;
        _memory->NoQuorumDeadlineNs = node.NoQuorumDeadlineNs;
        _memory->Term = node.Term;
        _memory->CommitIndex = node.CommitIndex;
        _memory->KnownCommitIndex = node.KnownCommitIndex;
        _memory->AppliedIndex = node.AppliedIndex;
        _memory->LastIndex = node.LastIndex;
        _memory->FirstIndex = node.FirstIndex;
        _memory->SnapshotIndex = node.SnapshotIndex;
        _memory->SnapshotTerm = node.SnapshotTerm;
        _memory->LogBytes = node.DiskBytes;
        _memory->MessagesProcessed = node.MessagesProcessed;
        _memory->HeartbeatsSent = node.HeartbeatsSent;
        _memory->ElectionsTriggered = node.ElectionsTriggered;
        _memory->Role = (int)node.Role;
        _memory->LeaderId = node.LeaderId;
        _memory->Members = node.Members;
        _memory->LiveMembers = node.LiveMembers ?? -1;
    }

    private void WriteTimes(AnswerTimes times)
    {
        _memory->WrittenNs = times.WrittenNs;
        _memory->WallOffsetNs = times.WallOffsetNs;
        _memory->QuorumSinceUs = times.QuorumSinceUs;
        _memory->LiveMembersSinceUs = times.LiveMembersSinceUs;
        _memory->MayActSinceUs = times.MayActSinceUs;
    }

    private void WriteWorker(in HostStatus status)
    {
        _memory->Epoch = _epoch;
        _memory->NodeId = _nodeId;
        _memory->State = (int)status.State;
        WriteRequests(status.RequestsProcessed, status.RequestsPending, status.QueueFull);
        _memory->LogRecordsDropped = _droppedRecords();
        _memory->ErrorStatus = (int)status.ErrorStatus;
        if (_publishedState != (int)status.State)
            CText.Write(status.ErrorText, new Span<byte>(_memory->Error, Abi.ErrorTextBytes));
    }
}
