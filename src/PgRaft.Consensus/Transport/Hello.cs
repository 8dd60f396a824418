// The first exchange on every connection: who is calling whom, in which cluster, speaking what.
//
// Its layout is the one thing all versions share: fields are added at its end only, and a reader
// passes over what it does not know, so that two members that cannot work together can still say
// why.
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

    private const int MaxVersionLength = 32;
    private static readonly byte[] Magic = Encoding.ASCII.GetBytes("PGRAFTPP");

    /// <summary>Versions of protocol and data that it can work with.</summary>
    public NodeVersions Versions { get; init; } = NodeVersions.OfThisBuild;

    /// <summary>Newest data version in its log and its snapshots.</summary>
    public int DataHeld { get; init; } = NodeVersions.OfThisBuild.Data.Oldest;

    /// <summary>Reads a hello.</summary>
    /// <exception cref="InvalidDataException">Not one.</exception>
    public static Hello Read(ReadOnlyMemory<byte> body)
    {
        if (!body.Span.StartsWith(Magic))
        {
            throw NotSpoken(null);
        }

        var reader = new BodyReader(body[Magic.Length..]);
        var protocol = new VersionRange(reader.Int32(), reader.Int32());
        var hello = new Hello(
            (ChannelKind)reader.Byte(), reader.Text(), reader.Int64(), reader.Int32(),
            reader.Int32(), reader.Int32(), Printable(reader.Text()));
        var data = new VersionRange(reader.Int32(), reader.Int32());
        return hello with
        {
            Versions = new NodeVersions(protocol, data),
            DataHeld = reader.Int32(),
        };
    }

    /// <summary>What a connection that begins with anything else is refused with.</summary>
    public static InvalidDataException NotSpoken(Exception? cause) =>
        new("It does not speak the pgraft protocol.", cause);

    /// <summary>Adds it to a frame.</summary>
    public void Write(FrameWriter writer) => writer
        .Raw(Magic).Int32(Versions.Protocol.Oldest).Int32(Versions.Protocol.Newest)
        .Byte((byte)Kind).Text(ClusterId).Int64(FoundingId)
        .Int32(NodeId).Int32(TargetId).Int32(ElectionTimeoutMs).Text(Version)
        .Int32(Versions.Data.Oldest).Int32(Versions.Data.Newest).Int32(DataHeld);

    /// <summary>The protocol version to speak with another node; 0 = there is none.</summary>
    public int ProtocolWith(Hello other) =>
        Versions.Protocol.NewestCommon(other.Versions.Protocol);

    /// <summary>
    /// Why the node that <paramref name="mine"/> describes must refuse; null = it need not.
    /// </summary>
    public string? Refusal(Hello mine) => IdentityRefusal(mine) ?? VersionRefusal(mine);

    /// <summary>As <see cref="Refusal"/>, for who the node is.</summary>
    public string? IdentityRefusal(Hello mine)
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

    /// <summary>As <see cref="Refusal"/>, for what the node can speak and read.</summary>
    public string? VersionRefusal(Hello mine)
    {
        if (ProtocolWith(mine) == 0)
        {
            return $"node {NodeId} (pgraft {Version}) speaks peer protocol {Versions.Protocol}, "
                + $"but node {mine.NodeId} (pgraft {mine.Version}) speaks "
                + $"{mine.Versions.Protocol}";
        }

        return CannotRead(this, mine) ?? CannotRead(mine, this);
    }

    private static string? CannotRead(Hello reader, Hello writer)
    {
        int needed = Math.Max(writer.DataHeld, writer.Versions.Data.Oldest);
        return reader.Versions.Data.Newest < needed
            ? $"node {reader.NodeId} (pgraft {reader.Version}) reads data up to version "
                + $"{reader.Versions.Data.Newest}, but node {writer.NodeId} "
                + $"(pgraft {writer.Version}) has version {needed}"
            : null;
    }

    // It goes into logs as it is.
    private static string Printable(string version) => string.Concat(
        version.Take(MaxVersionLength).Select(c => c is > ' ' and < '\x7f' ? c : '?'));
}
