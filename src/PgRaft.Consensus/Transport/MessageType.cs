// The messages between members and their numbers on the wire (docs/peer-protocol.md).
namespace PgRaft.Consensus.Transport;

/// <summary>Request types; a response repeats the type of its request.</summary>
internal enum MessageType : byte
{
    /// <summary>First frame of a connection, both ways.</summary>
    Hello = 1,

    /// <summary>Asks whether an election would be won (Ongaro 2014 §9.6).</summary>
    PreVote = 2,

    /// <summary>RequestVote.</summary>
    Vote = 3,

    /// <summary>AppendEntries; without entries a heartbeat.</summary>
    Append = 4,

    /// <summary>Starts a snapshot transfer.</summary>
    SnapshotBegin = 5,

    /// <summary>A piece of it.</summary>
    SnapshotChunk = 6,

    /// <summary>Ends it: verify and install.</summary>
    SnapshotEnd = 7,

    /// <summary>Asks the leader for a read index (Ongaro 2014 §6.4).</summary>
    ReadIndex = 8,

    /// <summary>A client's request, passed on to the leader.</summary>
    Forward = 9,

    /// <summary>The leader asks a member to stand for election at once (Ongaro 2014 §3.10).
    /// </summary>
    TimeoutNow = 10,

    /// <summary>Asks how far the log reaches and who leads.</summary>
    Report = 11,

    /// <summary>A leader is about to add the receiver.</summary>
    Join = 12,

    /// <summary>The receiver is not a member any more.</summary>
    Removed = 13,
}

/// <summary>
/// What a connection is used for; each kind has its own so that none delays another.
/// </summary>
internal enum ChannelKind : byte
{
    /// <summary>Votes, appends, heartbeats. One request at a time is handled, in order.</summary>
    Consensus = 1,

    /// <summary>Snapshot transfers.</summary>
    Snapshot = 2,

    /// <summary>Read indexes and forwarded requests; handled concurrently.</summary>
    Client = 3,
}
