// The requests about the members' health and the node's findings, as this node has heard and
// measured them: nobody is asked, so they never wait.
// Threading: any number of requests at once. Failure: PgraftException for malformed ones.
using PgRaft.Consensus;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal sealed class HealthRequests(IRaftNode node, FindingReport findings)
{
    public ValueTask GetHealthAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        response.Rows(11);
        foreach (var peer in node.GetFacts().Peers)
        {
            response
                .Int32(peer.Address.NodeId)
                .Text(peer.Address.Host)
                .Int32(peer.Address.Port)
                .Bool(peer.IsAlive)
                .Int64(peer.LastContactMs)
                .Int64(Microseconds(peer.RoundTripMs))
                .Text(peer.Version)
                .Int32(peer.Protocol)
                .Int32(peer.DataVersion)
                .Text(peer.LastError)
                .Int64(UnixMicroseconds(peer.AliveSince));
        }

        return ValueTask.CompletedTask;
    }

    public ValueTask GetFindingsAsync(RequestContext context, ResponseBuilder response)
    {
        context.Arguments(0).End();
        response.Rows(5);
        foreach (var finding in findings.Of(node))
        {
            response
                .Text(finding.Subject)
                .Text(finding.Value)
                .Text(finding.Severity)
                .Text(finding.Text)
                .Text(finding.Advice);
        }

        return ValueTask.CompletedTask;
    }

    private static long? UnixMicroseconds(DateTimeOffset? at) => at is { } time
        ? (time - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond
        : null;

    private static long? Microseconds(double? ms) => ms is { } value ? (long)(value * 1000) : null;
}
