// The layout of a snapshot, for writer and reader. All integers little-endian.
//
//   header   "PGRAFTSN" | u32 data version (DataVersions) | u32 crc of the 12 bytes before
//   block…   u32 payload_bytes (1..65536) | payload | u32 crc
//   footer   u32 0 | i64 payload bytes of all blocks | u32 crc
//
// Each crc is the CRC32C of everything from the first byte of the file up to it, without the crcs
// before it, so blocks can neither be lost nor change places. (With them it could not tell: a CRC
// over data and its own CRC is a constant.) Without its footer a snapshot is incomplete whatever it
// holds. Nothing may follow the footer. The payloads, put together, are sections; records may span
// blocks:
//
//   u8 1 | i64 applied_index | i64 applied_term | i64 revision | i64 compacted_revision
//        | i64 total_keys | i64 total_bytes | i64 puts | i64 deletes
//   u8 2 | i64 key_count | key…      in ascending byte order
//   u8 3 | i64 forgotten_index | u32 session_count | session…      in ascending order of id
//   u8 0
//   key      u16 key_bytes | key | u32 version_count | version…     oldest first
//   version  u8 1 = value, 0 = tombstone | i64 mod_revision | i64 create_revision | i64 version
//            | i64 lease_id | u32 value_bytes | value
//   session  u64 id | u16 slot_count (1..4096) | slot…             the used ones, ascending
//   slot     u16 slot | i64 sequence | i64 index | i64 revision | u8 status
//            | u8 flags (1 = existed, 2 = matched)
//
// Version 1 is read and no longer written: it had no section 3, which then counts as empty.
//
// Threading: constants and pure functions. Failure: none here.
using System.Buffers.Binary;
using System.Numerics;

namespace PgRaft.Core.Snapshots;

internal static class SnapshotFormat
{
    public const uint FirstVersion = DataVersions.OldestRead;
    public const uint Version = DataVersions.Newest;
    public const int HeaderBytes = 16;
    public const int MaxBlockBytes = 64 * 1024;
    public const int FooterBytes = 16;
    public const int VersionHeaderBytes = 1 + (4 * sizeof(long)) + sizeof(uint);
    public const int SlotBytes = sizeof(ushort) + (3 * sizeof(long)) + 2;
    public const byte ExistedFlag = 1;
    public const byte MatchedFlag = 2;

    public const byte EndSection = 0;
    public const byte MetaSection = 1;
    public const byte KvSection = 2;
    public const byte RequestSection = 3;

    public static ReadOnlySpan<byte> Magic => "PGRAFTSN"u8;
}

/// <summary>Running CRC32C (Castagnoli) of a stream of bytes.</summary>
internal struct Crc32C
{
    private uint _value;

    /// <summary>The checksum of everything appended so far.</summary>
    public readonly uint Value => _value;

    public void Append(ReadOnlySpan<byte> bytes)
    {
        uint crc = ~_value;
        while (bytes.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[sizeof(ulong)..];
        }

        foreach (byte value in bytes)
            crc = BitOperations.Crc32C(crc, value);
        _value = ~crc;
    }
}
