// Where the picture of the node goes: shared memory that every backend reads.
// Threading: Publish is called by any thread, one at a time. Failure: must not throw or block.
using PgRaft.Consensus;
using PgRaft.Core;

namespace PgRaft.Server.Hosting;

internal readonly record struct HostStatus(
    WorkerState State,
    NodeStatus Node,
    long RequestsProcessed,
    int RequestsPending,
    bool QueueFull,
    StatusCode ErrorStatus,
    string ErrorText)
{
    /// <summary>When this was true, and since when its answers are.</summary>
    public AnswerTimes Times { get; init; }
}

internal interface IStatusSink
{
    void Publish(in HostStatus status);

    /// <summary>Publishes the numbers that change with every request, and nothing else.</summary>
    void PublishRequests(long processed, int pending, bool isFull);
}
