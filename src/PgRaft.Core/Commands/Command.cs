// Reads the commands of the log without allocating. Bytes come from disk and from peers, so nothing
// about them is trusted; every member must reach the same verdict on the same bytes.
//
//   command    u8 version (2) | u8 type | request id (RequestId; zeros = none) | body
//
//   1 Opaque     i64 expected_term (0 = any) | data to the end
//   2 KvPut      u16 key_bytes | u32 value_bytes | i64 lease_id | key | value
//   3 KvDelete   u16 key_bytes | key
//   4 KvCompact  i64 revision
//   5 KvCas      u16 key_bytes | u32 value_bytes | i64 expected_mod_revision (0 = no key)
//                | key | value
//
// Version 1 is read and no longer written: it had no request id, no expected term and no KvCas.
// Which version is written: DataVersions.
//
// All integers little-endian. Threading: pure. Failure: a CommandDecodeStatus, never an exception.
using System.Buffers.Binary;

using PgRaft.Core.Requests;

namespace PgRaft.Core.Commands;

/// <summary>A decoded command; a view of the bytes it was decoded from.</summary>
/// <remarks>Threading: valid as long as those bytes are.</remarks>
public readonly ref struct Command
{
    internal const byte FirstVersion = DataVersions.OldestRead;
    internal const int HeaderBytes = 2 + RequestId.EncodedBytes;
    internal const int PutHeaderBytes = 14;
    internal const int DeleteHeaderBytes = 2;
    internal const int CompactBytes = 8;
    internal const int OpaqueHeaderBytes = 8;
    private const int FirstHeaderBytes = 2;

    /// <summary>What the command does.</summary>
    public CommandType Type { get; private init; }

    /// <summary>Whose request it is, or none.</summary>
    public RequestId Id { get; private init; }

    /// <summary>The key of a put, delete or compare-and-set, 1..4096 bytes; else empty.</summary>
    public ReadOnlySpan<byte> Key { get; private init; }

    /// <summary>The value of a put or compare-and-set, or the data of an opaque command; else
    /// empty.</summary>
    public ReadOnlySpan<byte> Value { get; private init; }

    /// <summary>Lease a put attaches the key to; 0 = none, never negative.</summary>
    public long LeaseId { get; private init; }

    /// <summary>Revision of a compaction, or the modification revision that a compare-and-set
    /// expects of its key (0 = the key does not exist); at least 0.</summary>
    public long Revision { get; private init; }

    /// <summary>The only term in which an opaque command has an effect; 0 = any.</summary>
    public long ExpectedTerm { get; private init; }

    /// <summary>The data version of an encoded command.</summary>
    /// <param name="bytes">The payload of a log entry; what is not a command has some version
    /// too.</param>
    /// <returns>0 when there are no bytes.</returns>
    public static int VersionOf(ReadOnlySpan<byte> bytes) => bytes.IsEmpty ? 0 : bytes[0];

    /// <summary>Decodes one command that fills <paramref name="bytes"/> exactly.</summary>
    /// <param name="bytes">The payload of a log entry.</param>
    /// <param name="command">The command, or default unless the result is
    /// <see cref="CommandDecodeStatus.Ok"/>.</param>
    /// <returns>The verdict, a pure function of the bytes.</returns>
    public static CommandDecodeStatus TryDecode(ReadOnlySpan<byte> bytes, out Command command)
    {
        command = default;
        if (bytes.Length < FirstHeaderBytes)
            return CommandDecodeStatus.Truncated;
        var type = (CommandType)bytes[1];
        if (bytes[0] == FirstVersion)
            return DecodeFirst(type, bytes[FirstHeaderBytes..], ref command);
        if (bytes[0] is 0 or > DataVersions.Newest)
            return CommandDecodeStatus.UnknownVersion;
        if (bytes.Length < HeaderBytes)
            return CommandDecodeStatus.Truncated;
        if (!RequestId.TryRead(bytes[FirstHeaderBytes..], out var id))
            return CommandDecodeStatus.OutOfRange;
        var status = Decode(type, bytes[HeaderBytes..], ref command);
        if (status == CommandDecodeStatus.Ok)
            command = command with { Id = id };
        return status;
    }

    private static CommandDecodeStatus DecodeFirst(
        CommandType type, ReadOnlySpan<byte> body, ref Command command) => type switch
        {
            CommandType.Opaque => DecodeData(body, 0, ref command),
            CommandType.KvCas => CommandDecodeStatus.UnknownType,
            _ => Decode(type, body, ref command),
        };

    private static CommandDecodeStatus Decode(
        CommandType type, ReadOnlySpan<byte> body, ref Command command) => type switch
        {
            CommandType.Opaque => DecodeOpaque(body, ref command),
            CommandType.KvPut or CommandType.KvCas => DecodePut(type, body, ref command),
            CommandType.KvDelete => DecodeDelete(body, ref command),
            CommandType.KvCompact => DecodeCompact(body, ref command),
            _ => CommandDecodeStatus.UnknownType,
        };

    private static CommandDecodeStatus DecodeOpaque(ReadOnlySpan<byte> body, ref Command command)
    {
        if (body.Length < OpaqueHeaderBytes)
            return CommandDecodeStatus.Truncated;
        long term = BinaryPrimitives.ReadInt64LittleEndian(body);
        return term < 0
            ? CommandDecodeStatus.OutOfRange
            : DecodeData(body[OpaqueHeaderBytes..], term, ref command);
    }

    private static CommandDecodeStatus DecodeData(
        ReadOnlySpan<byte> data, long expectedTerm, ref Command command)
    {
        if (data.Length > Limits.UpperMaxValueBytes)
            return CommandDecodeStatus.ValueTooLarge;
        command = new Command
        {
            Type = CommandType.Opaque,
            Value = data,
            ExpectedTerm = expectedTerm,
        };
        return CommandDecodeStatus.Ok;
    }

    // A put and a compare-and-set differ in what their number means.
    private static CommandDecodeStatus DecodePut(
        CommandType type, ReadOnlySpan<byte> body, ref Command command)
    {
        if (body.Length < PutHeaderBytes)
            return CommandDecodeStatus.Truncated;
        int keyBytes = BinaryPrimitives.ReadUInt16LittleEndian(body);
        uint valueBytes = BinaryPrimitives.ReadUInt32LittleEndian(body[2..]);
        long number = BinaryPrimitives.ReadInt64LittleEndian(body[6..]);
        if (!IsKeyLength(keyBytes))
            return CommandDecodeStatus.BadKeyLength;
        if (valueBytes > Limits.UpperMaxValueBytes)
            return CommandDecodeStatus.ValueTooLarge;
        if (number < 0)
            return CommandDecodeStatus.OutOfRange;
        var status = CheckLength(body, PutHeaderBytes + keyBytes + (int)valueBytes);
        if (status == CommandDecodeStatus.Ok)
        {
            command = new Command
            {
                Type = type,
                Key = body.Slice(PutHeaderBytes, keyBytes),
                Value = body[(PutHeaderBytes + keyBytes)..],
                LeaseId = type == CommandType.KvPut ? number : 0,
                Revision = type == CommandType.KvCas ? number : 0,
            };
        }

        return status;
    }

    private static CommandDecodeStatus DecodeDelete(ReadOnlySpan<byte> body, ref Command command)
    {
        if (body.Length < DeleteHeaderBytes)
            return CommandDecodeStatus.Truncated;
        int keyBytes = BinaryPrimitives.ReadUInt16LittleEndian(body);
        if (!IsKeyLength(keyBytes))
            return CommandDecodeStatus.BadKeyLength;
        var status = CheckLength(body, DeleteHeaderBytes + keyBytes);
        if (status == CommandDecodeStatus.Ok)
            command = new Command { Type = CommandType.KvDelete, Key = body[DeleteHeaderBytes..] };
        return status;
    }

    private static CommandDecodeStatus DecodeCompact(ReadOnlySpan<byte> body, ref Command command)
    {
        var status = CheckLength(body, CompactBytes);
        if (status != CommandDecodeStatus.Ok)
            return status;
        long revision = BinaryPrimitives.ReadInt64LittleEndian(body);
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
