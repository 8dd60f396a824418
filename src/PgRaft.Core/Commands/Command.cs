// Reads the commands of the log without allocating. Bytes come from disk and from peers, so nothing
// about them is trusted; every member must reach the same verdict on the same bytes.
//
//   Opaque     u8 1 | u8 1 | data to the end
//   KvPut      u8 1 | u8 2 | u16 key_bytes | u32 value_bytes | i64 lease_id | key | value
//   KvDelete   u8 1 | u8 3 | u16 key_bytes | key
//   KvCompact  u8 1 | u8 4 | i64 revision
//
// All integers little-endian. Threading: pure. Failure: a CommandDecodeStatus, never an exception.
using System.Buffers.Binary;

namespace PgRaft.Core.Commands;

/// <summary>A decoded command; a view of the bytes it was decoded from.</summary>
/// <remarks>Threading: valid as long as those bytes are.</remarks>
public readonly ref struct Command
{
    internal const byte FormatVersion = 1;
    internal const int PutHeaderBytes = 16;
    internal const int DeleteHeaderBytes = 4;
    internal const int CompactBytes = 10;
    internal const int OpaqueHeaderBytes = 2;

    /// <summary>What the command does.</summary>
    public CommandType Type { get; private init; }

    /// <summary>The key of a put or delete, 1..4096 bytes; else empty.</summary>
    public ReadOnlySpan<byte> Key { get; private init; }

    /// <summary>The value of a put, or the data of an opaque command; else empty.</summary>
    public ReadOnlySpan<byte> Value { get; private init; }

    /// <summary>Lease a put attaches the key to; 0 = none, never negative.</summary>
    public long LeaseId { get; private init; }

    /// <summary>Revision of a compaction, at least 0.</summary>
    public long Revision { get; private init; }

    /// <summary>Decodes one command that fills <paramref name="bytes"/> exactly.</summary>
    /// <param name="bytes">The payload of a log entry.</param>
    /// <param name="command">The command, or default unless the result is
    /// <see cref="CommandDecodeStatus.Ok"/>.</param>
    /// <returns>The verdict, a pure function of the bytes.</returns>
    public static CommandDecodeStatus TryDecode(ReadOnlySpan<byte> bytes, out Command command)
    {
        command = default;
        if (bytes.Length < 2)
            return CommandDecodeStatus.Truncated;
        if (bytes[0] != FormatVersion)
            return CommandDecodeStatus.UnknownVersion;
        return (CommandType)bytes[1] switch
        {
            CommandType.Opaque => DecodeOpaque(bytes, ref command),
            CommandType.KvPut => DecodePut(bytes, ref command),
            CommandType.KvDelete => DecodeDelete(bytes, ref command),
            CommandType.KvCompact => DecodeCompact(bytes, ref command),
            _ => CommandDecodeStatus.UnknownType,
        };
    }

    private static CommandDecodeStatus DecodeOpaque(ReadOnlySpan<byte> bytes, ref Command command)
    {
        var data = bytes[OpaqueHeaderBytes..];
        if (data.Length > Limits.UpperMaxValueBytes)
            return CommandDecodeStatus.ValueTooLarge;
        command = new Command { Type = CommandType.Opaque, Value = data };
        return CommandDecodeStatus.Ok;
    }

    private static CommandDecodeStatus DecodePut(ReadOnlySpan<byte> bytes, ref Command command)
    {
        if (bytes.Length < PutHeaderBytes)
            return CommandDecodeStatus.Truncated;
        int keyBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]);
        uint valueBytes = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
        long leaseId = BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]);
        if (!IsKeyLength(keyBytes))
            return CommandDecodeStatus.BadKeyLength;
        if (valueBytes > Limits.UpperMaxValueBytes)
            return CommandDecodeStatus.ValueTooLarge;
        if (leaseId < 0)
            return CommandDecodeStatus.OutOfRange;
        var status = CheckLength(bytes, PutHeaderBytes + keyBytes + (int)valueBytes);
        if (status == CommandDecodeStatus.Ok)
        {
            command = new Command
            {
                Type = CommandType.KvPut,
                Key = bytes.Slice(PutHeaderBytes, keyBytes),
                Value = bytes[(PutHeaderBytes + keyBytes)..],
                LeaseId = leaseId,
            };
        }

        return status;
    }

    private static CommandDecodeStatus DecodeDelete(ReadOnlySpan<byte> bytes, ref Command command)
    {
        if (bytes.Length < DeleteHeaderBytes)
            return CommandDecodeStatus.Truncated;
        int keyBytes = BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]);
        if (!IsKeyLength(keyBytes))
            return CommandDecodeStatus.BadKeyLength;
        var status = CheckLength(bytes, DeleteHeaderBytes + keyBytes);
        if (status == CommandDecodeStatus.Ok)
            command = new Command { Type = CommandType.KvDelete, Key = bytes[DeleteHeaderBytes..] };
        return status;
    }

    private static CommandDecodeStatus DecodeCompact(ReadOnlySpan<byte> bytes, ref Command command)
    {
        var status = CheckLength(bytes, CompactBytes);
        if (status != CommandDecodeStatus.Ok)
            return status;
        long revision = BinaryPrimitives.ReadInt64LittleEndian(bytes[2..]);
        if (revision < 0)
            return CommandDecodeStatus.OutOfRange;
        command = new Command { Type = CommandType.KvCompact, Revision = revision };
        return CommandDecodeStatus.Ok;
    }

    private static bool IsKeyLength(int keyBytes) =>
        keyBytes is >= Limits.MinKeyBytes and <= Limits.MaxKeyBytes;

    private static CommandDecodeStatus CheckLength(ReadOnlySpan<byte> bytes, int expected)
    {
        if (bytes.Length < expected)
            return CommandDecodeStatus.Truncated;
        return bytes.Length > expected
            ? CommandDecodeStatus.TrailingBytes
            : CommandDecodeStatus.Ok;
    }
}
