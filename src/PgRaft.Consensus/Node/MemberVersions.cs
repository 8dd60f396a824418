// What the members' hellos said of their versions, and what follows for this node's writing: the
// newest data version that all of them read.
//
// A member that has not been heard since this node's start counts as one that reads the oldest
// version anybody may still have. So no entry can come into the log that a member could not read,
// and an upgrade is over for the data when the leader has heard the last member.
// Threading: any thread; a short lock. Failure: none.
using PgRaft.Consensus.Transport;

namespace PgRaft.Consensus.Node;

/// <summary>What a member's last hello said.</summary>
/// <param name="Version">Its pgraft version, for people.</param>
/// <param name="Protocol">Peer protocol spoken with it; 0 = none in common.</param>
/// <param name="DataVersion">Newest data version it reads.</param>
/// <param name="ElectionTimeoutMs">Its election timeout.</param>
internal sealed record HeardVersions(
    string Version, int Protocol, int DataVersion, int ElectionTimeoutMs);

/// <summary>Keeps what was heard of versions.</summary>
internal sealed class MemberVersions(NodeVersions own, int held)
{
    // Hellos come from anybody who reaches the port.
    private const int MaxHeard = 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<int, HeardVersions> _heard = [];
    private int[] _others = [];
    private int _held = Math.Max(held, own.Data.Oldest);
    private int _written = own.Data.Newest;

    /// <summary>Versions of this node.</summary>
    public NodeVersions Own => own;

    /// <summary>Newest data version in this node's log and snapshots. Never goes back.</summary>
    public int Held => Volatile.Read(ref _held);

    /// <summary>Newest data version that every other member is known to read: what this node
    /// writes when it leads.</summary>
    public int Written => Volatile.Read(ref _written);

    /// <summary>What was heard of a node; null = nothing since this node's start.</summary>
    public HeardVersions? Of(int nodeId)
    {
        lock (_gate)
        {
            return _heard.GetValueOrDefault(nodeId);
        }
    }

    /// <summary>Data of a version is about to enter the log or has come with a snapshot.</summary>
    public void Holds(int version)
    {
        int before = Volatile.Read(ref _held);
        while (version > before)
        {
            int seen = Interlocked.CompareExchange(ref _held, version, before);
            if (seen == before)
            {
                return;
            }

            before = seen;
        }
    }

    /// <summary>A node of this cluster has said hello.</summary>
    public void Heard(Hello theirs)
    {
        lock (_gate)
        {
            if (_heard.Count < MaxHeard || _heard.ContainsKey(theirs.NodeId))
            {
                _heard[theirs.NodeId] = new HeardVersions(
                    theirs.Version, own.Protocol.NewestCommon(theirs.Versions.Protocol),
                    theirs.Versions.Data.Newest, theirs.ElectionTimeoutMs);
                Settle();
            }
        }
    }

    /// <summary>These are the other members, and who is about to become one.</summary>
    public void Others(IEnumerable<int> nodeIds)
    {
        lock (_gate)
        {
            _others = [.. nodeIds];
            Settle();
        }
    }

    // With _gate held.
    private void Settle()
    {
        int written = own.Data.Newest;
        foreach (int nodeId in _others)
        {
            int reads = _heard.TryGetValue(nodeId, out var heard)
                ? heard.DataVersion
                : own.Data.Oldest;
            written = Math.Min(written, reads);
        }

        // A member that reads even less is refused at its hello.
        Volatile.Write(ref _written, Math.Max(written, own.Data.Oldest));
    }
}
