// What this node was last told of its own membership: that it is to join, or that it was removed,
// as of a log index. Configurations up to that index do not make it a voter.
//
// Why it is needed: a node that comes back under its old id with an emptied data_dir is sent the
// log from the beginning, in which it may be a member already. By that old configuration it would
// vote with a log that lacks what it once acknowledged, for a candidate that lacks it too: two
// majorities that have no memory in common.
// Threading: changes take the one lock; Current is one atomic read. Failure: a notice that cannot
// be saved is a PgraftException, which ends the node; a damaged file is refused by name.
//
// File "membership": "PGRAFTMB", u8 kind, i64 index, u32 CRC32C of all before it.
using System.Buffers.Binary;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Membership;

/// <summary>What a node was told; the numbers are on disk.</summary>
internal enum NoticeKind : byte
{
    /// <summary>Nothing: what the log says counts.</summary>
    None = 0,

    /// <summary>A leader is about to add it.</summary>
    Joining = 1,

    /// <summary>It is no member any more.</summary>
    Removed = 2,
}

/// <summary>One notice.</summary>
/// <param name="Kind">What was said.</param>
/// <param name="Index">As of which log index; -1 for <see cref="NoticeKind.None"/>.</param>
internal sealed record MembershipNotice(NoticeKind Kind, long Index)
{
    /// <summary>No notice.</summary>
    public static MembershipNotice None { get; } = new(NoticeKind.None, -1);

    /// <summary>Whether a configuration at an index tells if this node is a voter.</summary>
    public bool LetsCount(long configurationIndex) => configurationIndex > Index;
}

/// <summary>The durable notice of one data directory.</summary>
/// <remarks><i>Invariant</i>: the index of the notice never goes back, except by
/// <see cref="Clear"/>.</remarks>
internal sealed class MembershipNotices
{
    private const int ContentBytes = 8 + 1 + 8;
    private const int FileBytes = ContentBytes + 4;
    private readonly Lock _gate = new();
    private readonly IStorageIo _io;
    private readonly string _path;
    private MembershipNotice _current;

    private MembershipNotices(IStorageIo io, string path, MembershipNotice current)
    {
        _io = io;
        _path = path;
        _current = current;
    }

    /// <summary>The notice in force.</summary>
    public MembershipNotice Current => Volatile.Read(ref _current);

    private static ReadOnlySpan<byte> Magic => "PGRAFTMB"u8;

    /// <summary>Reads the notice of a data directory, if there is one.</summary>
    /// <exception cref="PgRaft.Core.PgraftException">The file is damaged.</exception>
    public static MembershipNotices Open(IStorageIo io, string directory)
    {
        string path = Path.Combine(directory, "membership");
        var current = io.Exists(path)
            ? Decode(AtomicFile.Read(io, path, FileBytes), path)
            : MembershipNotice.None;
        return new MembershipNotices(io, path, current);
    }

    /// <summary>A leader whose log ends at an index is about to add this node.</summary>
    /// <returns>False when a later notice is in force: the request was held up on its way.
    /// </returns>
    public bool Join(long lastIndex)
    {
        lock (_gate)
        {
            if (lastIndex < _current.Index)
            {
                return false;
            }

            Save(new MembershipNotice(NoticeKind.Joining, lastIndex));
            return true;
        }
    }

    /// <summary>This node is not a member in the committed configuration of an index.</summary>
    public void Remove(long configurationIndex)
    {
        lock (_gate)
        {
            if (configurationIndex > _current.Index)
            {
                Save(new MembershipNotice(NoticeKind.Removed, configurationIndex));
            }
        }
    }

    /// <summary>Forgets it: the node begins another life, in a cluster that it founds.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            Save(MembershipNotice.None);
        }
    }

    private void Save(MembershipNotice notice)
    {
        if (notice == _current)
        {
            return;
        }

        Span<byte> content = stackalloc byte[FileBytes];
        Magic.CopyTo(content);
        content[8] = (byte)notice.Kind;
        BinaryPrimitives.WriteInt64LittleEndian(content[9..], notice.Index);
        BinaryPrimitives.WriteUInt32LittleEndian(
            content[ContentBytes..], Crc32C.Of(content[..ContentBytes]));
        AtomicFile.Write(_io, _path, content);
        Volatile.Write(ref _current, notice);
    }

    private static MembershipNotice Decode(ReadOnlySpan<byte> content, string path)
    {
        if (content.Length != FileBytes || !content.StartsWith(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(content[ContentBytes..])
                != Crc32C.Of(content[..ContentBytes]))
        {
            throw StorageErrors.Damaged(path, 0, "its checksum does not match");
        }

        return new MembershipNotice(
            (NoticeKind)content[8], BinaryPrimitives.ReadInt64LittleEndian(content[9..]));
    }
}
