// Composes what the outside sees from the node's status, the request counters and the worker's
// state, and publishes it at every change.
// Threading: any thread; one lock makes publications follow one another, so that a later one never
// shows an older state. Failure: none; once in error, the state stays there.
using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Logging;
using PgRaft.Server.Requests;

namespace PgRaft.Server.Hosting;

internal sealed class StatusPublisher(
    IStatusSink sink, RequestCounters counters, AnswerTimes atStart)
{
    private readonly Lock _lock = new();
    private readonly AnswerKeeper _answers = new(TimeProvider.System, atStart);
    private IRaftNode? _node;
    private NodeStatus _last = new();
    private WorkerState _state = WorkerState.Starting;
    private StatusCode _errorStatus;
    private string _errorText = string.Empty;

    public WorkerState State
    {
        get
        {
            lock (_lock)
                return _state;
        }
    }

    /// <summary>From now on the node's status is published as well.</summary>
    public void Attach(IRaftNode node)
    {
        lock (_lock)
            _node = node;
        node.StatusChanged += Publish;
        counters.Changed += PublishRequests;
        Publish();
    }

    /// <summary>To be called before the node is disposed: what it said last stays.</summary>
    public void Detach()
    {
        counters.Changed -= PublishRequests;
        lock (_lock)
        {
            if (_node is not { } node)
                return;
            node.StatusChanged -= Publish;
            _last = node.Status;
            _node = null;
        }
    }

    /// <summary>What is true now, for who does not read the published picture.</summary>
    public HostStatus Current()
    {
        lock (_lock)
        {
            var status = _node?.Status ?? _last;
            FollowNode(status);
            return Compose(status);
        }
    }

    /// <summary>Publishes what is true now.</summary>
    public void Publish()
    {
        lock (_lock)
        {
            var status = _node?.Status ?? _last;
            FollowNode(status);
            sink.Publish(Compose(status));
        }
    }

    private void PublishRequests()
    {
        lock (_lock)
            sink.PublishRequests(counters.Processed, counters.Pending, counters.IsFull);
    }

    /// <summary>The node serves requests: it runs, or waits for a configuration.</summary>
    public void SetServing()
    {
        lock (_lock)
        {
            if (_state == WorkerState.Starting)
                _state = WorkerState.Waiting;
        }

        Publish();
    }

    /// <summary>Keeps the first error; later ones are its consequences.</summary>
    public void SetError(PgraftException error)
    {
        lock (_lock)
        {
            if (_state == WorkerState.Error)
                return;
            _state = WorkerState.Error;
            _errorStatus = error.Code;
            _errorText = ErrorText.Of(error);
        }

        Publish();
    }

    public void SetStopped()
    {
        lock (_lock)
        {
            if (_state != WorkerState.Error)
                _state = WorkerState.Stopped;
        }

        Publish();
    }

    private void FollowNode(NodeStatus node)
    {
        if (_state is not (WorkerState.Waiting or WorkerState.Running or WorkerState.Removed))
            return;
        if (node.RemovedIndex > 0)
            _state = WorkerState.Removed;
        else
            _state = node.Role == NodeRole.Waiting ? WorkerState.Waiting : WorkerState.Running;
    }

    private HostStatus Compose(NodeStatus node)
    {
        var vouched = Vouched(node);
        return new HostStatus(
            _state,
            vouched,
            counters.Processed,
            counters.Pending,
            counters.IsFull,
            _errorStatus,
            _errorText)
        {
            Times = _answers.Note(_state, vouched),
        };
    }

    // A node that is no longer at work vouches for no leader.
    private NodeStatus Vouched(NodeStatus node) =>
        _state is WorkerState.Error or WorkerState.Stopped
            ? node with
            {
                LeaseDeadlineNs = 0,
                LeaderDeadlineNs = 0,
                NoQuorumDeadlineNs = 0,
                LeaderId = 0,
            }
            : node;
}
