// What a leader tells a node outside the log: that it is about to be added, that it was removed.
//
// Threading: no state. Failure: a node that refuses is a PgraftException; one that does not answer
// is asked again until the caller's token ends the wait.
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Transport;
using PgRaft.Core;

namespace PgRaft.Consensus.Node;

/// <summary>The beginning and the end of a node's membership, as it is told of them.</summary>
internal static class Invitation
{
    private const string IdentityHint =
        "Check pgraft.cluster_id and pgraft.node_id there, and the address given here.";

    private const string VersionHint =
        "Install this cluster's release of pgraft there, restart that server, and add it again.";

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(100);

    /// <summary>Asks a node to join; returns when it is ready to be sent the log.</summary>
    /// <param name="peer">The node.</param>
    /// <param name="term">The term this node leads.</param>
    /// <param name="lastIndex">Index of this node's last log entry.</param>
    /// <param name="timeout">How long one attempt may take.</param>
    /// <param name="token">Ends the waiting.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: it belongs to another
    /// cluster, is another node, has seen a later term, or its version does not fit.</exception>
    /// <exception cref="OperationCanceledException">It did not answer.</exception>
    public static async Task JoinAsync(
        Peer peer, long term, long lastIndex, TimeSpan timeout, CancellationToken token)
    {
        var request = new FrameWriter().Int64(term).Int64(lastIndex);
        while (true)
        {
            try
            {
                var answer = await peer.Consensus
                    .CallAsync(MessageType.Join, request, timeout, token).ConfigureAwait(false);
                var body = new BodyReader(answer);
                Judge(peer.Address.NodeId, term, body.Int64(), body.Byte() != 0);
                peer.Contact.Answered();
                return;
            }
            catch (PeerUnavailableException e) when (e.IsRefusal)
            {
                throw new PgraftException(
                    StatusCode.WrongState, $"node {peer.Address.NodeId} cannot be added", e.Message,
                    e.IsVersionRefusal ? VersionHint : IdentityHint, e);
            }
            catch (PeerUnavailableException)
            {
                // A pause between dials, not a wait for an event: it may be starting.
                await Task.Delay(RetryPause, token).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Tells a node that it is not a member in the committed configuration of an index.
    /// </summary>
    /// <returns>Whether it answered.</returns>
    public static async Task<bool> TellRemovedAsync(
        Peer peer, long configurationIndex, TimeSpan timeout, CancellationToken token)
    {
        try
        {
            var request = new FrameWriter().Int64(configurationIndex);
            await peer.Consensus.CallAsync(MessageType.Removed, request, timeout, token)
                .ConfigureAwait(false);
            return true;
        }
        catch (Exception e) when (e is PeerUnavailableException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Why whoever is at a node's address refuses to be that node; null = it is the node,
    /// be it in a version that does not fit, or nobody answers.</summary>
    public static async Task<string?> RefusalAsync(
        Peer peer, TimeSpan timeout, CancellationToken token)
    {
        try
        {
            // Says nothing: index 0 is older than any that counts.
            var request = new FrameWriter().Int64(0);
            await peer.Consensus.CallAsync(MessageType.Removed, request, timeout, token)
                .ConfigureAwait(false);
            return null;
        }
        catch (PeerUnavailableException e)
        {
            return e.IsRefusal && !e.IsVersionRefusal ? e.Message : null;
        }
    }

    private static void Judge(int nodeId, long term, long theirTerm, bool accepted)
    {
        if (!accepted)
        {
            string reason = theirTerm > term
                ? $"It has seen term {theirTerm}, and this cluster is in term {term}."
                : "It knows of a later configuration than this leader.";
            throw new PgraftException(
                StatusCode.WrongState, $"node {nodeId} cannot be added", reason,
                "Its pgraft.data_dir is from another life. It is no member, so its directory may "
                + "be emptied while its server is stopped; then add it again.");
        }
    }
}
