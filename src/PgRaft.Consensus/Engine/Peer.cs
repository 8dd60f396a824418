// The connections to one other node and what was learned over them. A connection that broke is made
// again, also when nothing is to be sent: a follower has no other way to learn that a member is
// back, and would say for ever that it cannot be reached.
// Threading: any thread. Failure: see PeerChannel.
using Microsoft.Extensions.Logging;
using PgRaft.Consensus.Leadership;
using PgRaft.Consensus.Metrics;
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Engine;

/// <summary>One other node.</summary>
internal sealed class Peer : IAsyncDisposable
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan MendTimeout = TimeSpan.FromSeconds(5);
    private readonly ConnectionHealth _health;
    private readonly CancellationTokenSource _closed = new();
    private int _mending;

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
        _health = new ConnectionHealth(address, logger) { Broke = () => _ = MendAsync() };
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
        await _closed.CancelAsync().ConfigureAwait(false);
        await Consensus.DisposeAsync().ConfigureAwait(false);
        await Snapshot.DisposeAsync().ConfigureAwait(false);
        await Client.DisposeAsync().ConfigureAwait(false);
    }

    private async Task MendAsync()
    {
        try
        {
            while (_health.LastError is not null && Interlocked.Exchange(ref _mending, 1) == 0)
            {
                await MendUntilWellAsync().ConfigureAwait(false);
                Volatile.Write(ref _mending, 0);
            }
        }
        catch (OperationCanceledException)
        {
            // The node is a peer no more.
        }
    }

    // The calls of a leader connect long before the first pause is over.
    private async Task MendUntilWellAsync()
    {
        for (var pause = FirstPause; _health.LastError is not null; pause *= 2)
        {
            pause = pause < LongestPause ? pause : LongestPause;

            // A pause between dials: nobody says that the member is back.
            await Task.Delay(pause, _closed.Token).ConfigureAwait(false);
            int failures = _health.Failures;
            if (_health.LastError is not null && await TryMendAsync().ConfigureAwait(false)
                && failures == _health.Failures)
            {
                _health.Restored();
            }
        }
    }

    private async Task<bool> TryMendAsync()
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_closed.Token);
        limit.CancelAfter(MendTimeout);
        try
        {
            await Consensus.MendAsync(limit.Token).ConfigureAwait(false);
            await Snapshot.MendAsync(limit.Token).ConfigureAwait(false);
            await Client.MendAsync(limit.Token).ConfigureAwait(false);
            return true;
        }
        catch (PeerUnavailableException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!_closed.IsCancellationRequested)
        {
            return false;
        }
    }
}
