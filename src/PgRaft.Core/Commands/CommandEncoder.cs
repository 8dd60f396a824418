// Writes the commands that Command reads; the layouts are there. Arguments come from clients, so a
// value outside the limits is a PgraftException that names the limit, raised before anything enters
// the log. Threading: pure.
using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;

namespace PgRaft.Core.Commands;

/// <summary>Encodes commands for the log.</summary>
/// <remarks>Threading: stateless; any thread.</remarks>
public static class CommandEncoder
{
    /// <summary>Encodes an opaque command into an array of exact size.</summary>
    /// <param name="data">0..16 MB.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.TooLarge"/>.</exception>
    public static byte[] Opaque(ReadOnlySpan<byte> data)
    {
        CheckValue(data.Length);
        var bytes = new byte[Command.OpaqueHeaderBytes + data.Length];
        FillOpaque(bytes, data);
        return bytes;
    }

    /// <summary>Encodes an opaque command; see <see cref="Opaque(ReadOnlySpan{byte})"/>.</summary>
    /// <param name="writer">Receives the bytes; untouched on failure.</param>
    /// <param name="data">0..16 MB.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.TooLarge"/>.</exception>
    public static void Opaque(IBufferWriter<byte> writer, ReadOnlySpan<byte> data)
    {
        CheckValue(data.Length);
        int length = Command.OpaqueHeaderBytes + data.Length;
        FillOpaque(writer.GetSpan(length), data);
        writer.Advance(length);
    }

    /// <summary>Encodes a put into an array of exact size.</summary>
    /// <param name="key">1..4096 bytes.</param>
    /// <param name="value">0..16 MB.</param>
    /// <param name="leaseId">Lease to attach the key to; 0 = none, not negative.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> for an empty key or a
    /// negative lease, <see cref="StatusCode.TooLarge"/> beyond a limit.</exception>
    public static byte[] KvPut(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long leaseId = 0)
    {
        CheckPut(key, value, leaseId);
        var bytes = new byte[Command.PutHeaderBytes + key.Length + value.Length];
        FillPut(bytes, key, value, leaseId);
        return bytes;
    }

    /// <summary>Encodes a put, as the other overload does, without an array.</summary>
    /// <param name="writer">Receives the bytes; untouched on failure.</param>
    /// <param name="key">1..4096 bytes.</param>
    /// <param name="value">0..16 MB.</param>
    /// <param name="leaseId">Lease to attach the key to; 0 = none, not negative.</param>
    /// <exception cref="PgraftException">As for the other overload.</exception>
    public static void KvPut(
        IBufferWriter<byte> writer,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        long leaseId = 0)
    {
        CheckPut(key, value, leaseId);
        int length = Command.PutHeaderBytes + key.Length + value.Length;
        FillPut(writer.GetSpan(length), key, value, leaseId);
        writer.Advance(length);
    }

    /// <summary>Encodes a delete into an array of exact size.</summary>
    /// <param name="key">1..4096 bytes.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> for an empty key,
    /// <see cref="StatusCode.TooLarge"/> for one beyond the limit.</exception>
    public static byte[] KvDelete(ReadOnlySpan<byte> key)
    {
        CheckKey(key.Length);
        var bytes = new byte[Command.DeleteHeaderBytes + key.Length];
        FillHeader(bytes, CommandType.KvDelete);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), (ushort)key.Length);
        key.CopyTo(bytes.AsSpan(Command.DeleteHeaderBytes));
        return bytes;
    }

    /// <summary>Encodes a compaction into an array of exact size.</summary>
    /// <param name="revision">History before it is dropped; at least 0.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> when negative.
    /// </exception>
    public static byte[] KvCompact(long revision)
    {
        if (revision < 0)
            throw new PgraftException(StatusCode.BadArgument, "revision must not be negative");
        var bytes = new byte[Command.CompactBytes];
        FillHeader(bytes, CommandType.KvCompact);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(2), revision);
        return bytes;
    }

    private static void FillHeader(Span<byte> bytes, CommandType type)
    {
        bytes[0] = Command.FormatVersion;
        bytes[1] = (byte)type;
    }

    private static void FillOpaque(Span<byte> bytes, ReadOnlySpan<byte> data)
    {
        FillHeader(bytes, CommandType.Opaque);
        data.CopyTo(bytes[Command.OpaqueHeaderBytes..]);
    }

    private static void FillPut(
        Span<byte> bytes, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long leaseId)
    {
        FillHeader(bytes, CommandType.KvPut);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes[2..], (ushort)key.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[4..], (uint)value.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], leaseId);
        key.CopyTo(bytes[Command.PutHeaderBytes..]);
        value.CopyTo(bytes[(Command.PutHeaderBytes + key.Length)..]);
    }

    private static void CheckPut(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, long leaseId)
    {
        CheckKey(key.Length);
        CheckValue(value.Length);
        if (leaseId < 0)
            throw new PgraftException(StatusCode.BadArgument, "lease id must not be negative");
    }

    private static void CheckKey(int length)
    {
        if (length < Limits.MinKeyBytes)
            throw new PgraftException(StatusCode.BadArgument, "key must not be empty");
        if (length > Limits.MaxKeyBytes)
            throw TooLarge("key", length, Limits.MaxKeyBytes);
    }

    private static void CheckValue(int length)
    {
        if (length > Limits.UpperMaxValueBytes)
            throw TooLarge("value", length, Limits.UpperMaxValueBytes);
    }

    private static PgraftException TooLarge(string what, int length, int limit) => new(
        StatusCode.TooLarge,
        $"{what} is too large",
        string.Create(
            CultureInfo.InvariantCulture, $"It has {length} bytes; the limit is {limit}."));
}
