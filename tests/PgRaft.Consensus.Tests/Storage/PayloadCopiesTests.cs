// Where the copies of a batch lie, and that they are copies.
using System.Runtime.InteropServices;
using PgRaft.Consensus.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public sealed class PayloadCopiesTests
{
    [Fact]
    public void Small_payloads_share_arrays_of_which_none_is_a_large_object()
    {
        var records = Records(2_000, i => i % 200);
        var copies = Copies(records);
        var arrays = copies.Where(copy => !copy.IsEmpty).Select(ArrayOf).Distinct().ToArray();

        Assert.InRange(arrays.Length, 3, 6);
        Assert.All(arrays, array => Assert.InRange(array.Length, 1, 64 * 1024));
        AssertEqual(records, copies);
    }

    [Fact]
    public void An_array_has_no_more_room_than_the_batch_needs()
    {
        var copies = Copies(Records(3, _ => 100));

        Assert.Equal(300, ArrayOf(copies[0]).Length);
        Assert.Same(ArrayOf(copies[0]), ArrayOf(copies[2]));
    }

    [Fact]
    public void Large_payloads_have_arrays_of_their_own()
    {
        var records = Records(9, i => i % 3 == 1 ? 100_000 : 10);
        var copies = Copies(records);

        Assert.Equal(100_000, ArrayOf(copies[1]).Length);
        Assert.NotSame(ArrayOf(copies[1]), ArrayOf(copies[4]));
        Assert.Same(ArrayOf(copies[0]), ArrayOf(copies[8]));
        AssertEqual(records, copies);
    }

    [Fact]
    public void They_are_copies()
    {
        byte[] mine = [1, 2, 3];
        var copies = Copies([new LogRecord(1, 1, EntryKind.Command, mine)]);
        mine[0] = 9;

        Assert.Equal([1, 2, 3], copies[0].ToArray());
    }

    private static LogRecord[] Records(int count, Func<int, int> length)
    {
        var random = new Random(1);
        return Enumerable.Range(0, count).Select(i =>
        {
            byte[] payload = new byte[length(i)];
            random.NextBytes(payload);
            return new LogRecord(i + 1, 1, EntryKind.Command, payload);
        }).ToArray();
    }

    private static ReadOnlyMemory<byte>[] Copies(LogRecord[] records)
    {
        var copies = new PayloadCopies(records);
        var all = new ReadOnlyMemory<byte>[records.Length];
        for (int i = 0; i < records.Length; i++)
        {
            all[i] = copies.Add(records[i].Payload.Span);
        }

        return all;
    }

    private static byte[] ArrayOf(ReadOnlyMemory<byte> memory)
    {
        Assert.True(MemoryMarshal.TryGetArray(memory, out var segment));
        return segment.Array!;
    }

    private static void AssertEqual(LogRecord[] records, ReadOnlyMemory<byte>[] copies)
    {
        for (int i = 0; i < records.Length; i++)
        {
            Assert.True(records[i].Payload.Span.SequenceEqual(copies[i].Span), $"payload {i}");
        }
    }
}
