// Where the HTTP paths get what they show. The node may be about to start or to stop.
// Threading: any thread. Failure: none; without a node there are no members and no progress.
using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Requests;
using PgRaft.Server.Sockets;

namespace PgRaft.Server.Http;

internal sealed class NodeReport(
    NodeOptions options, StatusPublisher publisher, StateMachine state, RequestCounters counters,
    FindingReport findings)
{
    private IRaftNode? _node;
    private RequestServer? _server;

    public NodeOptions Options => options;

    public StateMachine State => state;

    public RequestCounters Counters => counters;

    public FindingReport Findings => findings;

    /// <summary>When this server began, and its counters with it.</summary>
    public DateTimeOffset StartedAt { get; } = DateTimeOffset.UtcNow;

    /// <summary>Counts and times of the requests of this server.</summary>
    public RequestMeters Requests { get; } = new();

    /// <summary>The node; null when there is none.</summary>
    public IRaftNode? Node => Volatile.Read(ref _node);

    /// <summary>Connections to the request socket.</summary>
    public int Connections => Volatile.Read(ref _server)?.Connections ?? 0;

    public void Attach(IRaftNode node) => Volatile.Write(ref _node, node);

    public void Attach(RequestServer server) => Volatile.Write(ref _server, server);

    public void Detach()
    {
        Volatile.Write(ref _server, null);
        Volatile.Write(ref _node, null);
    }

    /// <summary>The node now.</summary>
    public NodePicture Take()
    {
        var status = publisher.Current();
        return new NodePicture(
            status.State, status.ErrorText, status.Node, status.Times)
        {
            History = Node?.GetHistory() ?? [],
        };
    }
}
