// The first exchange on every connection: who is calling whom, in which cluster, speaking what.
// Threading: immutable. Failure: a refused hello is an answer with a reason, logged on both sides.
using System.Text;

namespace PgRaft.Consensus.Transport;

/// <summary>What a node says of itself when it connects or is connected to.</summary>
/// <param name="Kind">What the connection is for.</param>
/// <param name="ClusterId">pgraft.cluster_id.</param>
/// <param name="FoundingId">Founding the node belongs to; 0 = none yet.</param>
/// <param name="NodeId">Who speaks.</param>
/// <param name="TargetId">Whom it means to reach.</param>
/// <param name="ElectionTimeoutMs">Its lower election timeout: how long it keeps faith with a
/// leader.</param>
/// <param name="Version">Its pgraft version, for people.</param>
internal sealed record Hello(
    ChannelKind Kind,
    string ClusterId,
    long FoundingId,
    int NodeId,
    int TargetId,
    int ElectionTimeoutMs,
    string Version)
{
    /// <summary>Largest hello either side reads; garbage on the port ends here.</summary>
    public const int MaxBytes = 1024;

    /// <summary>Protocol version; changes only when older members could not follow.</summary>
    public const int ProtocolVersion = 1;

    private static readonly byte[] Magic = Encoding.ASCII.GetBytes("PGRAFTPP");

    /// <summary>Reads a hello.</summary>
    /// <exception cref="InvalidDataException">Not one, or of another protocol version.</exception>
    public static Hello Read(ReadOnlyMemory<byte> body)
    {
        if (!body.Span.StartsWith(Magic))
        {
            throw NotSpoken(null);
        }

        var reader = new BodyReader(body[Magic.Length..]);
        int version = reader.Int32();
        return version == ProtocolVersion
            ? new Hello(
                (ChannelKind)reader.Byte(), reader.Text(), reader.Int64(), reader.Int32(),
                reader.Int32(), reader.Int32(), reader.Text())
            : throw new InvalidDataException(
                $"The peer speaks protocol version {version}, this node {ProtocolVersion}.");
    }

    /// <summary>What a connection that begins with anything else is refused with.</summary>
    public static InvalidDataException NotSpoken(Exception? cause) =>
        new("It does not speak the pgraft protocol.", cause);

    /// <summary>Adds it to a frame.</summary>
    public void Write(FrameWriter writer) => writer
        .Raw(Magic).Int32(ProtocolVersion).Byte((byte)Kind).Text(ClusterId).Int64(FoundingId)
        .Int32(NodeId).Int32(TargetId).Int32(ElectionTimeoutMs).Text(Version);

    /// <summary>
    /// Why the node that <paramref name="mine"/> describes must refuse; null = it need not.
    /// </summary>
    public string? Refusal(Hello mine)
    {
        if (ClusterId != mine.ClusterId)
        {
            return $"node {NodeId} belongs to cluster \"{ClusterId}\", "
                + $"node {mine.NodeId} to \"{mine.ClusterId}\"";
        }

        if (TargetId != mine.NodeId)
        {
            return $"node {NodeId} looks for node {TargetId}, "
                + $"but this address is node {mine.NodeId}'s";
        }

        if (NodeId == mine.NodeId)
        {
            return $"another node also has node_id {NodeId}";
        }

        return FoundingId != 0 && mine.FoundingId != 0 && FoundingId != mine.FoundingId
            ? $"node {NodeId} and node {mine.NodeId} were founded as separate clusters"
            : null;
    }
}
