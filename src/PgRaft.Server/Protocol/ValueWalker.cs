// Steps over a sequence of values whose types are not known beforehand: what a member needs to
// trust an answer that another node produced. Threading: pure. Failure: malformed values are
// reported, never thrown.
using System.Buffers.Binary;
using System.Text;

namespace PgRaft.Server.Protocol;

internal static class ValueWalker
{
    /// <summary>Number of values in the bytes, or -1 when they are not whole values.</summary>
    public static long Count(ReadOnlySpan<byte> values)
    {
        long count = 0;
        while (!values.IsEmpty)
        {
            int size = SizeOfFirst(values);
            if (size < 0)
                return -1;
            values = values[size..];
            count++;
        }

        return count;
    }

    /// <summary>The text at a position; null when there is none or it is no text.</summary>
    public static string? TextAt(ReadOnlySpan<byte> values, int position)
    {
        for (int i = 0; i < position; i++)
        {
            int size = SizeOfFirst(values);
            if (size < 0)
                return null;
            values = values[size..];
        }

        int length = SizeOfFirst(values);
        return length > 0 && values[0] == (byte)ValueTag.Text
            ? Encoding.UTF8.GetString(values[5..length])
            : null;
    }

    private static int SizeOfFirst(ReadOnlySpan<byte> values)
    {
        if (values.IsEmpty)
            return -1;
        long size = (ValueTag)values[0] switch
        {
            ValueTag.Null => 1,
            ValueTag.Bool => 2,
            ValueTag.Int32 => 5,
            ValueTag.Int64 => 9,
            ValueTag.Text when values.Length >= 5 =>
                5L + BinaryPrimitives.ReadUInt32LittleEndian(values[1..]),
            _ => -1,
        };
        return size <= values.Length ? (int)size : -1;
    }
}
