// Names one request of one client for ever, so that its copies in the log can be told from new
// requests. A client gives it out once and keeps it for every retry.
//
//   u64 session | i64 sequence | i64 base_index | u16 slot          little-endian, 26 bytes
//
// Threading: a value. Failure: bytes that are no id give false.
using System.Buffers.Binary;

namespace PgRaft.Core.Requests;

/// <summary>Identity of a request; the default value is none, for which nothing is remembered.
/// </summary>
/// <param name="Session">Who asks: random, once for each start of a core; 0 = no id.</param>
/// <param name="Slot">Which of the session's requests under way: 0..4095. A session uses a slot
/// for one request at a time, so a new one in it says that the one before has its answer or was
/// given up.</param>
/// <param name="Sequence">Counts the requests of the slot, from 1.</param>
/// <param name="BaseIndex">A log index that the client knew applied when it gave the id out, at
/// least 0. Invariant: no copy of the request is ever applied at or below it.</param>
/// <remarks>Threading: a value. Source: Ongaro 2014 §6.3; the slots are those of NFSv4.1 sessions
/// (RFC 8881 §2.10.6).</remarks>
public readonly record struct RequestId(ulong Session, int Slot, long Sequence, long BaseIndex)
{
    /// <summary>Length of every encoded id, in bytes.</summary>
    public const int EncodedBytes = 26;

    /// <summary>Whether this is no id.</summary>
    public bool IsNone => Session == 0;

    /// <summary>Writes the id.</summary>
    /// <param name="bytes">At least <see cref="EncodedBytes"/>.</param>
    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Session);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], Sequence);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], BaseIndex);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[24..], (ushort)Slot);
    }

    /// <summary>Reads an id.</summary>
    /// <param name="bytes">At least <see cref="EncodedBytes"/>.</param>
    /// <param name="id">The id, or none.</param>
    /// <returns>False when a number is outside its range.</returns>
    public static bool TryRead(ReadOnlySpan<byte> bytes, out RequestId id)
    {
        id = new RequestId(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes),
            BinaryPrimitives.ReadUInt16LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]));
        if (id.IsNone ? id == default : id.IsValid)
            return true;
        id = default;
        return false;
    }

    private bool IsValid =>
        Slot is >= 0 and < Limits.MaxSlotsPerSession && Sequence >= 1 && BaseIndex >= 0;
}
