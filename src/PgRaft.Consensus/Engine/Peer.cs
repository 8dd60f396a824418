// The connections to one other node and what was learned over them.
// Threading: any thread. Failure: see PeerChannel.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

/// <summary>One other node.</summary>
internal sealed class Peer : IAsyncDisposable
{
    private readonly ConnectionHealth _health;

    /// <summary>Prepares the connections; none is made before it is used.</summary>
    /// <param name="address">Where it is.</param>
    /// <param name="hello">This node's hello for a kind of connection to it.</param>
    /// <param name="contact">What is known of the node already.</param>
    /// <param name="logger">For connection failures.</param>
    /// <param name="heard">Told what it says of itself.</param>
    /// <param name="meters">Told of the bytes that pass.</param>
    public Peer(
        MemberAddress address, Func<ChannelKind, Hello> hello, PeerContact contact, ILogger logger,
        Action<Hello>? heard = null, NodeMeters? meters = null)
    {
        Meters = meters ??= new NodeMeters();
        Contact = contact;
        Address = address;
        _health = new ConnectionHealth(address, logger);
        PeerChannel Channel(ChannelKind kind) =>
            new(address, () => hello(kind), _health, meters, heard);
        Consensus = Channel(ChannelKind.Consensus);
        Snapshot = Channel(ChannelKind.Snapshot);
        Client = Channel(ChannelKind.Client);
    }

    /// <summary>Who and where.</summary>
    public MemberAddress Address { get; }

    /// <summary>Votes and appends.</summary>
    public PeerChannel Consensus { get; }

    /// <summary>Snapshots.</summary>
    public PeerChannel Snapshot { get; }

    /// <summary>Read indexes and forwarded requests.</summary>
    public PeerChannel Client { get; }

    /// <summary>What its answers told.</summary>
    public PeerContact Contact { get; }

    /// <summary>What is told of the bytes and times of these connections.</summary>
    public NodeMeters Meters { get; }

    /// <summary>Why it could not be reached; null while it can.</summary>
    public string? LastError => _health.LastError;

    /// <summary>How long it keeps faith with a leader, as far as known; 0 = not yet.</summary>
    /// <remarks>The shortest it has said: a connection that was not made anew since the peer was
    /// restarted with a shorter one still has the old.</remarks>
    public int ElectionTimeoutMs => Shortest(
        Consensus.PeerElectionTimeoutMs,
        Shortest(Snapshot.PeerElectionTimeoutMs, Client.PeerElectionTimeoutMs));

    /// <summary>The shorter of two timeouts of which 0 is none.</summary>
    internal static int Shortest(int one, int other) =>
        one == 0 || other == 0 ? Math.Max(one, other) : Math.Min(one, other);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Consensus.DisposeAsync().ConfigureAwait(false);
        await Snapshot.DisposeAsync().ConfigureAwait(false);
        await Client.DisposeAsync().ConfigureAwait(false);
    }
}
