// Snapshots come back as they were written, and nothing that was changed on the way comes back at
// all.
using PgRaft.Core.Commands;
using PgRaft.Core.Snapshots;

using Xunit;

namespace PgRaft.Core.Tests;

public class SnapshotTests
{
    [Fact]
    public void Round_trips_values_of_every_size()
    {
        var machine = new StateMachine();
        int[] sizes = [0, 1, 65_535, 65_536, 65_537, 200_000, Limits.UpperMaxValueBytes];
        for (int i = 0; i < sizes.Length; i++)
            machine.Next(CommandEncoder.KvPut([(byte)i], Pattern(sizes[i])));
        machine.Next(CommandEncoder.KvPut(Pattern(Limits.MaxKeyBytes), "long key"u8));
        var restored = Machines.Restored(machine.Snapshot());
        Assert.Equal(machine.Hash(), restored.Hash());
        Assert.Equal(machine.AppliedIndex, restored.AppliedIndex);
        Assert.True(restored.Kv.TryGet([6], out var largest));
        Assert.True(largest.Value.Span.SequenceEqual(Pattern(Limits.UpperMaxValueBytes)));
    }

    [Fact]
    public void Keeps_index_term_counters_and_history()
    {
        var machine = new StateMachine();
        machine.Put("k", "1");
        machine.Put("k", "2");
        machine.Delete("k");
        machine.Skip(4, 9);
        var image = Machines.Restored(machine.Snapshot()).Capture();
        Assert.Equal((4L, 9L), (image.AppliedIndex, image.AppliedTerm));
        Assert.Equal(machine.Kv.Stats, image.Kv.Stats);
        Assert.Equal(("1", "2"), (image.Kv.Get("k", 1), image.Kv.Get("k", 2)));
        Assert.Null(image.Kv.Get("k"));
    }

    [Fact]
    public void An_empty_state_has_a_snapshot()
    {
        byte[] bytes = new StateMachine().Snapshot();
        Assert.Equal(0, Machines.Restored(bytes).AppliedIndex);
    }

    [Fact]
    public void Reports_the_bytes_it_wrote()
    {
        using var stream = new MemoryStream();
        long written = SnapshotWriter.Write(stream, Small().Capture(), CancellationToken.None);
        Assert.Equal(stream.Length, written);
    }

    [Fact]
    public void Every_flipped_bit_is_found()
    {
        byte[] bytes = Small().Snapshot();
        for (int bit = 0; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
            AssertDamaged(bytes);
            bytes[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        Machines.Restored(bytes);
    }

    [Fact]
    public void Every_truncation_and_extension_is_found()
    {
        byte[] bytes = Small().Snapshot();
        for (int length = 0; length < bytes.Length; length++)
            AssertDamaged(bytes[..length], "cut short");
        AssertDamaged([.. bytes, 0], "bytes follow the footer");
    }

    [Fact]
    public void Lost_and_exchanged_blocks_are_found()
    {
        var machine = new StateMachine();
        machine.Next(CommandEncoder.KvPut("k"u8, new byte[4 * SnapshotFormat.MaxBlockBytes]));
        byte[] bytes = machine.Snapshot();
        const int Block = SnapshotFormat.MaxBlockBytes + 8;
        int second = SnapshotFormat.HeaderBytes + Block;
        AssertDamaged([.. bytes[..second], .. bytes[(second + Block)..]], "checksum");
        byte[] exchanged =
        [
            .. bytes[..second],
            .. bytes[(second + Block)..(second + (2 * Block))],
            .. bytes[second..(second + Block)],
            .. bytes[(second + (2 * Block))..],
        ];
        AssertDamaged(exchanged, "checksum");
    }

    [Fact]
    public void Reads_streams_that_give_a_byte_at_a_time()
    {
        var machine = Small();
        using var stream = new TricklingStream(machine.Snapshot());
        var image = SnapshotReader.Read(stream, CancellationToken.None);
        Assert.Equal(machine.Hash(), StateHash.ComputeHex(image, CancellationToken.None));
    }

    [Fact]
    public void Can_be_cancelled()
    {
        using var source = new CancellationTokenSource();
        source.Cancel();
        var image = Small().Capture();
        byte[] bytes = Small().Snapshot();
        Assert.Throws<OperationCanceledException>(
            () => SnapshotWriter.Write(Stream.Null, image, source.Token));
        Assert.Throws<OperationCanceledException>(
            () => SnapshotReader.Read(new MemoryStream(bytes), source.Token));
        var large = new StateMachine();
        large.Next(CommandEncoder.KvPut("k"u8, new byte[100_000]));
        Assert.Throws<OperationCanceledException>(
            () => StateHash.Compute(large.Capture(), source.Token));
    }

    [Fact]
    public void Checksum_is_crc32c()
    {
        var whole = default(Crc32C);
        whole.Append("123456789"u8);
        Assert.Equal(0xE3069283u, whole.Value);
        var parts = default(Crc32C);
        parts.Append("1234"u8);
        parts.Append("56789"u8);
        Assert.Equal(whole.Value, parts.Value);
    }

    private static StateMachine Small()
    {
        var machine = new StateMachine();
        machine.Put("a", "1");
        machine.Put("a", "2");
        machine.Put("b", "3");
        machine.Delete("b");
        return machine;
    }

    private static byte[] Pattern(int length)
    {
        byte[] bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private static void AssertDamaged(byte[] bytes, string why = "")
    {
        var e = Assert.Throws<InvalidDataException>(() => Machines.Restored(bytes));
        Assert.Contains(why, e.Message, StringComparison.Ordinal);
    }

    private sealed class TricklingStream(byte[] bytes) : MemoryStream(bytes)
    {
        public override int Read(Span<byte> buffer) =>
            base.Read(buffer[..Math.Min(1, buffer.Length)]);
    }
}
