// Writes the commands that Command reads; the layouts are there. Arguments come from clients, so a
// value outside the limits is a PgraftException that names the limit, raised before anything enters
// the log. Threading: pure.
using System.Buffers.Binary;
using System.Globalization;

using PgRaft.Core.Requests;

namespace PgRaft.Core.Commands;

/// <summary>Encodes commands for the log, each into an array of exact size.</summary>
/// <remarks>A command without a request id takes effect once for each copy of it in the log. The
/// version is one that every member reads (<see cref="DataVersions"/>). Threading: stateless; any
/// thread.</remarks>
public static class CommandEncoder
{
    /// <summary>Encodes an opaque command.</summary>
    /// <param name="data">0..16 MB.</param>
    /// <param name="expectedTerm">It has an effect only as an entry of this term; 0 = any.</param>
    /// <param name="id">Whose request it is.</param>
    /// <param name="version">Data version to write.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.TooLarge"/>;
    /// <see cref="StatusCode.BadArgument"/> for a negative term.</exception>
    public static byte[] Opaque(
        ReadOnlySpan<byte> data,
        long expectedTerm = 0,
        RequestId id = default,
        int version = DataVersions.OldestWritten)
    {
        CheckValue(data.Length);
        CheckNotNegative("term", expectedTerm);
        var body = Begin(
            CommandType.Opaque,
            id,
            version,
            Command.OpaqueHeaderBytes + data.Length,
            out byte[] command);
        BinaryPrimitives.WriteInt64LittleEndian(body, expectedTerm);
        data.CopyTo(body[Command.OpaqueHeaderBytes..]);
        return command;
    }

    /// <summary>Encodes a put.</summary>
    /// <param name="key">1..4096 bytes.</param>
    /// <param name="value">0..16 MB.</param>
    /// <param name="leaseId">Lease to attach the key to; 0 = none, not negative.</param>
    /// <param name="id">Whose request it is.</param>
    /// <param name="version">Data version to write.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> for an empty key or a
    /// negative lease, <see cref="StatusCode.TooLarge"/> beyond a limit.</exception>
    public static byte[] KvPut(
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        long leaseId = 0,
        RequestId id = default,
        int version = DataVersions.OldestWritten)
    {
        CheckNotNegative("lease id", leaseId);
        return Put(CommandType.KvPut, key, value, leaseId, id, version);
    }

    /// <summary>Encodes a compare-and-set.</summary>
    /// <param name="key">1..4096 bytes.</param>
    /// <param name="expectedModRevision">Modification revision the key must have; 0 = it must not
    /// exist.</param>
    /// <param name="value">0..16 MB.</param>
    /// <param name="id">Whose request it is.</param>
    /// <param name="version">Data version to write.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> for an empty key or a
    /// negative revision, <see cref="StatusCode.TooLarge"/> beyond a limit.</exception>
    public static byte[] KvCas(
        ReadOnlySpan<byte> key,
        long expectedModRevision,
        ReadOnlySpan<byte> value,
        RequestId id = default,
        int version = DataVersions.OldestWritten)
    {
        CheckNotNegative("revision", expectedModRevision);
        return Put(CommandType.KvCas, key, value, expectedModRevision, id, version);
    }

    /// <summary>Encodes a delete.</summary>
    /// <param name="key">1..4096 bytes.</param>
    /// <param name="id">Whose request it is.</param>
    /// <param name="version">Data version to write.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> for an empty key,
    /// <see cref="StatusCode.TooLarge"/> for one beyond the limit.</exception>
    public static byte[] KvDelete(
        ReadOnlySpan<byte> key,
        RequestId id = default,
        int version = DataVersions.OldestWritten)
    {
        CheckKey(key.Length);
        int bodyBytes = Command.DeleteHeaderBytes + key.Length;
        var body = Begin(CommandType.KvDelete, id, version, bodyBytes, out byte[] command);
        BinaryPrimitives.WriteUInt16LittleEndian(body, (ushort)key.Length);
        key.CopyTo(body[Command.DeleteHeaderBytes..]);
        return command;
    }

    /// <summary>Encodes a compaction.</summary>
    /// <param name="revision">History before it is dropped; at least 0.</param>
    /// <param name="id">Whose request it is.</param>
    /// <param name="version">Data version to write.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/> when negative.
    /// </exception>
    public static byte[] KvCompact(
        long revision, RequestId id = default, int version = DataVersions.OldestWritten)
    {
        CheckNotNegative("revision", revision);
        var body = Begin(
            CommandType.KvCompact, id, version, Command.CompactBytes, out byte[] command);
        BinaryPrimitives.WriteInt64LittleEndian(body, revision);
        return command;
    }

    private static byte[] Put(
        CommandType type,
        ReadOnlySpan<byte> key,
        ReadOnlySpan<byte> value,
        long number,
        RequestId id,
        int version)
    {
        CheckKey(key.Length);
        CheckValue(value.Length);
        int bodyBytes = Command.PutHeaderBytes + key.Length + value.Length;
        var body = Begin(type, id, version, bodyBytes, out byte[] command);
        BinaryPrimitives.WriteUInt16LittleEndian(body, (ushort)key.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(body[2..], (uint)value.Length);
        BinaryPrimitives.WriteInt64LittleEndian(body[6..], number);
        key.CopyTo(body[Command.PutHeaderBytes..]);
        value.CopyTo(body[(Command.PutHeaderBytes + key.Length)..]);
        return command;
    }

    /// <summary>Writes the header; returns where the body goes.</summary>
    private static Span<byte> Begin(
        CommandType type, RequestId id, int version, int bodyBytes, out byte[] command)
    {
        // The versions that are written differ in nothing but their number so far.
        ArgumentOutOfRangeException.ThrowIfLessThan(version, DataVersions.OldestWritten);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(version, DataVersions.Newest);
        command = new byte[Command.HeaderBytes + bodyBytes];
        command[0] = (byte)version;
        command[1] = (byte)type;
        id.Write(command.AsSpan(2));
        return command.AsSpan(Command.HeaderBytes);
    }

    private static void CheckNotNegative(string what, long number)
    {
        if (number < 0)
            throw new PgraftException(StatusCode.BadArgument, $"{what} must not be negative");
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
