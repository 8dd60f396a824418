// The voter set, as it stands in log entries and snapshots, and as the engine's type sees it.
// Threading: immutable. Failure: damaged bytes are an InvalidDataException naming the offset; they
// can only come from a defect, since log records and snapshots carry checksums.
using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Text;
using DotNext.IO;
using DotNext.Net.Cluster.Consensus.Raft.Membership;

namespace PgRaft.Consensus.Membership;

/// <summary>The members of a cluster at one log index.</summary>
/// <remarks>
/// Layout: u8 format (1), i64 founding id, u16 count, then per member u16 node id, u16 port,
/// u16 host bytes, host (UTF-8). Integers are little-endian; members ascend by node id.
/// <para><i>Source</i>: Ongaro 2014 §4.1 (single-server changes).</para>
/// </remarks>
internal sealed class Configuration : IClusterConfiguration<MemberAddress>
{
    private const byte FormatVersion = 1;
    private readonly ImmutableSortedDictionary<int, MemberAddress> _members;
    private readonly byte[] _encoded;

    private Configuration(long foundingId, ImmutableSortedDictionary<int, MemberAddress> members)
    {
        FoundingId = foundingId;
        _members = members;
        _encoded = Encode();
    }

    /// <summary>No members: a node that was neither founded nor added.</summary>
    public static Configuration Empty { get; } =
        new(0, ImmutableSortedDictionary<int, MemberAddress>.Empty);

    /// <summary>
    /// Identifies the founding of the cluster: two clusters founded apart never mix.
    /// </summary>
    public long FoundingId { get; }

    /// <summary>Number of voters.</summary>
    public int Count => _members.Count;

    /// <summary>Whether there are no members.</summary>
    public bool IsEmpty => _members.IsEmpty;

    /// <summary>Members by ascending node id.</summary>
    public IEnumerable<MemberAddress> Addresses => _members.Values;

    /// <summary>The encoded form; never changes.</summary>
    public ReadOnlyMemory<byte> Bytes => _encoded;

    IReadOnlySet<MemberAddress> IClusterConfiguration<MemberAddress>.Members =>
        _members.Values.ToHashSet();

    bool IDataTransferObject.IsReusable => true;

    long? IDataTransferObject.Length => _encoded.Length;

    /// <summary>A founding configuration.</summary>
    public static Configuration Found(long foundingId, IEnumerable<MemberAddress> members) =>
        new(foundingId, members.ToImmutableSortedDictionary(m => m.NodeId, m => m));

    /// <summary>Reads the encoded form.</summary>
    /// <exception cref="InvalidDataException">Not a configuration of a known format.</exception>
    public static Configuration Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return DecodeCore(bytes);
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException("A configuration entry is cut short.", e);
        }
    }

    /// <summary>Whether <paramref name="nodeId"/> is a voter.</summary>
    public bool Contains(int nodeId) => _members.ContainsKey(nodeId);

    /// <summary>The member with that id, or null.</summary>
    public MemberAddress? Find(int nodeId) => _members.GetValueOrDefault(nodeId);

    /// <summary>This with one more member; this itself when the id is already there.</summary>
    public IClusterConfiguration<MemberAddress> Add(MemberAddress address) =>
        Contains(address.NodeId) ? this : new(FoundingId, _members.Add(address.NodeId, address));

    /// <summary>This with another address for a member.</summary>
    public Configuration With(MemberAddress address) =>
        new(FoundingId, _members.SetItem(address.NodeId, address));

    /// <summary>This without a member; this itself when it is not there.</summary>
    public Configuration Without(int nodeId) =>
        Contains(nodeId) ? new(FoundingId, _members.Remove(nodeId)) : this;

    /// <summary>This without that member; this itself when it is not there.</summary>
    public IClusterConfiguration<MemberAddress> Remove(MemberAddress address) =>
        Without(address.NodeId);

    bool IDataTransferObject.TryGetMemory(out ReadOnlyMemory<byte> memory)
    {
        memory = _encoded;
        return true;
    }

    ValueTask IDataTransferObject.WriteToAsync<TWriter>(TWriter writer, CancellationToken token) =>
        writer.Invoke(_encoded, token);

    private static Configuration DecodeCore(ReadOnlySpan<byte> bytes)
    {
        if (bytes[..1][0] != FormatVersion)
        {
            throw new InvalidDataException(
                $"A configuration has format {bytes[0]}, but this pgraft reads {FormatVersion}.");
        }

        long foundingId = BinaryPrimitives.ReadInt64LittleEndian(bytes[1..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(bytes[9..]);
        var rest = bytes[11..];
        var members = ImmutableSortedDictionary.CreateBuilder<int, MemberAddress>();
        for (; count > 0; count--)
        {
            int nodeId = BinaryPrimitives.ReadUInt16LittleEndian(rest);
            int port = BinaryPrimitives.ReadUInt16LittleEndian(rest[2..]);
            int hostBytes = BinaryPrimitives.ReadUInt16LittleEndian(rest[4..]);
            string host = Encoding.UTF8.GetString(rest.Slice(6, hostBytes));
            members[nodeId] = new MemberAddress(nodeId, host, port);
            rest = rest[(6 + hostBytes)..];
        }

        return new Configuration(foundingId, members.ToImmutable());
    }

    private byte[] Encode()
    {
        using var stream = new MemoryStream();
        Span<byte> head = stackalloc byte[11];
        head[0] = FormatVersion;
        BinaryPrimitives.WriteInt64LittleEndian(head[1..], FoundingId);
        BinaryPrimitives.WriteUInt16LittleEndian(head[9..], (ushort)_members.Count);
        stream.Write(head);
        Span<byte> fixedPart = head[..6];
        foreach (var member in _members.Values)
        {
            byte[] host = Encoding.UTF8.GetBytes(member.Host);
            BinaryPrimitives.WriteUInt16LittleEndian(fixedPart, (ushort)member.NodeId);
            BinaryPrimitives.WriteUInt16LittleEndian(fixedPart[2..], (ushort)member.Port);
            BinaryPrimitives.WriteUInt16LittleEndian(fixedPart[4..], (ushort)host.Length);
            stream.Write(fixedPart);
            stream.Write(host);
        }

        return stream.ToArray();
    }
}
