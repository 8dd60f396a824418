// The first 64 bytes of a segment file: which link of the chain it is. Layout: docs/storage.md.
// Written and synced before the file gets its name, so a bad one is always damage.
// Threading: immutable. Failure: Decode throws PgraftException naming the file.
using System.Buffers.Binary;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

/// <param name="Id">Number of the segment; rises by one from file to file.</param>
/// <param name="Salt">Random; seeds the records' checksums, so that bytes of another file, or at
/// another offset, are never taken for a record of this one.</param>
/// <param name="FirstIndex">Index the first record was going to have.</param>
/// <param name="PrevTerm">Term of the entry before <paramref name="FirstIndex"/>.</param>
/// <param name="PrevId">The segment before; 0 = nothing before this one counts any more.</param>
/// <param name="PrevEnd">Offset at which the segment before ended.</param>
/// <param name="FileBytes">Size the file was made with.</param>
internal sealed record SegmentHeader(
    uint Id, ulong Salt, long FirstIndex, long PrevTerm, uint PrevId, uint PrevEnd, uint FileBytes)
{
    internal const int Bytes = 64;

    private const ulong Magic = 0x31474F4C54524750; // "PGRTLOG1"
    private const uint Version = 1;
    private const int ChecksumOffset = 60;

    internal byte[] Encode()
    {
        byte[] bytes = new byte[Bytes];
        Span<byte> to = bytes;
        BinaryPrimitives.WriteUInt64LittleEndian(to, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(to[8..], Version);
        BinaryPrimitives.WriteUInt32LittleEndian(to[12..], Id);
        BinaryPrimitives.WriteUInt64LittleEndian(to[16..], Salt);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], FirstIndex);
        BinaryPrimitives.WriteInt64LittleEndian(to[32..], PrevTerm);
        BinaryPrimitives.WriteUInt32LittleEndian(to[40..], PrevId);
        BinaryPrimitives.WriteUInt32LittleEndian(to[44..], PrevEnd);
        BinaryPrimitives.WriteUInt32LittleEndian(to[48..], FileBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(
            to[ChecksumOffset..], Crc32C.Of(to[..ChecksumOffset]));
        return bytes;
    }

    internal static SegmentHeader Read(IStorageFile file, uint expectedId)
    {
        Span<byte> from = stackalloc byte[Bytes];
        if (file.Read(0, from) < Bytes)
        {
            throw StorageErrors.Damaged(file.Path, file.Length, "it ends inside its header");
        }

        SegmentHeader header = Decode(from, file.Path);
        if (header.Id != expectedId)
        {
            throw StorageErrors.Damaged(file.Path, 12, $"its header is segment {header.Id}'s");
        }

        if (file.Length < header.FileBytes)
        {
            throw StorageErrors.Damaged(
                file.Path, file.Length, $"it was cut short: it had {header.FileBytes} bytes");
        }

        return header;
    }

    private static SegmentHeader Decode(ReadOnlySpan<byte> from, string path)
    {
        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(from[ChecksumOffset..]);
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(from[8..]);
        bool isHeader = BinaryPrimitives.ReadUInt64LittleEndian(from) == Magic
            && Crc32C.Of(from[..ChecksumOffset]) == stored;
        if (isHeader && version > Version)
        {
            throw DataVersions.TooNew($"log segment \"{path}\"", version, Version);
        }

        if (!isHeader || version != Version)
        {
            throw StorageErrors.Damaged(path, 0, "its header is not a segment header of version 1");
        }

        return new SegmentHeader(
            BinaryPrimitives.ReadUInt32LittleEndian(from[12..]),
            BinaryPrimitives.ReadUInt64LittleEndian(from[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(from[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(from[32..]),
            BinaryPrimitives.ReadUInt32LittleEndian(from[40..]),
            BinaryPrimitives.ReadUInt32LittleEndian(from[44..]),
            BinaryPrimitives.ReadUInt32LittleEndian(from[48..]));
    }
}
