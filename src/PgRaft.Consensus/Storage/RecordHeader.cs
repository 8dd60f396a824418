// The 40 bytes before each record's payload. Layout and reasons: docs/storage.md.
// Threading: immutable. Failure: none; plausibility and checksum are answers, not errors.
using System.Buffers.Binary;

namespace PgRaft.Consensus.Storage;

/// <param name="Length">Bytes of payload.</param>
/// <param name="Checksum">CRC32C of salt, offset, the rest of the header and the payload.</param>
/// <param name="Index">Log index. Not greater than one more than the last before it; where it is
/// less, the entries from it on are superseded.</param>
/// <param name="Term">Term of the entry.</param>
/// <param name="PrevTerm">Term of the entry before.</param>
/// <param name="BatchStart">Offset of the first record written in the same batch. What lies
/// before it was on disk before this record was written.</param>
/// <param name="Kind">Kind of entry.</param>
internal readonly record struct RecordHeader(
    int Length,
    uint Checksum,
    long Index,
    long Term,
    long PrevTerm,
    uint BatchStart,
    EntryKind Kind)
{
    internal const int Bytes = 40;
    internal const int Alignment = 8;
    internal const EntryKind LastKind = EntryKind.Configuration;

    private const int ChecksumOffset = 4;
    private const int CheckedOffset = 8;

    // Bytes a record takes in the file.
    internal static int SizeOf(int payloadBytes) =>
        (Bytes + payloadBytes + Alignment - 1) & -Alignment;

    internal int Size => SizeOf(Length);

    internal static RecordHeader Decode(ReadOnlySpan<byte> from) => new(
        BinaryPrimitives.ReadInt32LittleEndian(from),
        BinaryPrimitives.ReadUInt32LittleEndian(from[ChecksumOffset..]),
        BinaryPrimitives.ReadInt64LittleEndian(from[8..]),
        BinaryPrimitives.ReadInt64LittleEndian(from[16..]),
        BinaryPrimitives.ReadInt64LittleEndian(from[24..]),
        BinaryPrimitives.ReadUInt32LittleEndian(from[32..]),
        (EntryKind)from[36]);

    // Whether a record could stand at the offset; cheap, before the checksum is computed.
    internal bool IsPlausible(long offset, long limit) =>
        Index > 0
        && Length >= 0
        && Length <= LogOptions.MaxPayloadBytes
        && offset + Size <= limit
        && PrevTerm >= 0
        && Term >= PrevTerm
        && BatchStart >= SegmentHeader.Bytes
        && BatchStart <= offset
        && Kind <= LastKind;

    // Writes header, payload and padding; returns the size.
    internal static int Encode(
        Span<byte> to, ulong salt, long offset, uint batchStart, long prevTerm, in LogRecord record)
    {
        int size = SizeOf(record.Payload.Length);
        to = to[..size];
        to[Bytes..].Clear();
        BinaryPrimitives.WriteInt32LittleEndian(to, record.Payload.Length);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], record.Index);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], record.Term);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], prevTerm);
        BinaryPrimitives.WriteUInt32LittleEndian(to[32..], batchStart);
        BinaryPrimitives.WriteUInt32LittleEndian(to[36..], (uint)record.Kind);
        record.Payload.Span.CopyTo(to[Bytes..]);
        uint crc = Begin(to, salt, offset);
        crc = Crc32C.Append(crc, to.Slice(Bytes, record.Payload.Length));
        BinaryPrimitives.WriteUInt32LittleEndian(to[ChecksumOffset..], Crc32C.Finish(crc));
        return size;
    }

    // The running checksum up to the payload.
    internal static uint Begin(ReadOnlySpan<byte> header, ulong salt, long offset)
    {
        Span<byte> seed = stackalloc byte[sizeof(ulong) * 2];
        BinaryPrimitives.WriteUInt64LittleEndian(seed, salt);
        BinaryPrimitives.WriteInt64LittleEndian(seed[sizeof(ulong)..], offset);
        uint crc = Crc32C.Append(Crc32C.Seed, seed);
        crc = Crc32C.Append(crc, header[..ChecksumOffset]);
        return Crc32C.Append(crc, header[CheckedOffset..Bytes]);
    }
}
