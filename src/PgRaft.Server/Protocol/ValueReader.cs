// Reads the values of a request, in order, with their types checked. Nothing is allocated by a
// count or a length the client claims: lengths are compared with the bytes at hand first.
// Threading: a value on one stack. Failure: PgraftException(BadArgument) naming the argument.
using System.Buffers.Binary;
using System.Globalization;
using System.Text.Unicode;

using PgRaft.Core;

namespace PgRaft.Server.Protocol;

internal ref struct ValueReader
{
    private ReadOnlySpan<byte> _rest;
    private int _position;

    /// <summary>Starts reading; the count is checked against what the request takes.</summary>
    public ValueReader(RequestHeader header, ReadOnlySpan<byte> values, int expected)
    {
        if (header.ValueCount != expected)
        {
            throw Bad(string.Create(
                CultureInfo.InvariantCulture,
                $"request {(int)header.Code} takes {expected} arguments, not {header.ValueCount}"));
        }

        _rest = values;
        _position = 0;
    }

    public bool ReadBool()
    {
        Expect(ValueTag.Bool);
        byte value = Take(1)[0];
        return value <= 1 ? value == 1 : throw Bad(Argument("is no boolean"));
    }

    public int ReadInt32()
    {
        Expect(ValueTag.Int32);
        return BinaryPrimitives.ReadInt32LittleEndian(Take(4));
    }

    public long ReadInt64()
    {
        Expect(ValueTag.Int64);
        return BinaryPrimitives.ReadInt64LittleEndian(Take(8));
    }

    public int? ReadNullableInt32() => TryReadNull() ? null : ReadInt32();

    public long? ReadNullableInt64() => TryReadNull() ? null : ReadInt64();

    /// <summary>A text's bytes, valid UTF-8 without NUL, inside the request's own buffer.</summary>
    public ReadOnlySpan<byte> ReadText()
    {
        Expect(ValueTag.Text);
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
        if (length > (uint)_rest.Length)
            throw Bad(Argument("is cut short"));
        var text = Take((int)length);
        if (!Utf8.IsValid(text) || text.Contains((byte)0))
            throw Bad(Argument("is not valid UTF-8 text"));
        return text;
    }

    /// <summary>To be called after the last value: nothing may follow it.</summary>
    public readonly void End()
    {
        if (!_rest.IsEmpty)
            throw Bad("bytes follow the last argument");
    }

    private bool TryReadNull()
    {
        bool isNull = !_rest.IsEmpty && _rest[0] == (byte)ValueTag.Null;
        if (isNull)
            Expect(ValueTag.Null);
        return isNull;
    }

    private void Expect(ValueTag tag)
    {
        _position++;
        byte found = Take(1)[0];
        if (found != (byte)tag)
        {
            throw Bad(Argument(string.Create(
                CultureInfo.InvariantCulture, $"has type tag {found} instead of {(int)tag}")));
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        if (_rest.Length < count)
            throw Bad(Argument("is cut short"));
        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }

    private readonly string Argument(string complaint) =>
        string.Create(CultureInfo.InvariantCulture, $"argument {_position} {complaint}");

    private static PgraftException Bad(string message) => new(
        StatusCode.BadArgument, "malformed request", message);
}
