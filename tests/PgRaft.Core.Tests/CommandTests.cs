// Codec of commands: what is written is read, and nothing else is accepted or thrown.
using CsCheck;

using PgRaft.Core.Commands;
using PgRaft.Core.Requests;

using Xunit;

namespace PgRaft.Core.Tests;

public class CommandTests
{
    private const string NoId = "0000000000000000000000000000000000000000000000000000";

    private static readonly Gen<byte[]> Key =
        Gen.OneOf(Gen.Byte.Array[1, 40], Gen.Byte.Array[Limits.MaxKeyBytes, Limits.MaxKeyBytes]);

    [Fact]
    public void Put_round_trips() =>
        Gen.Select(Key, Gen.Byte.Array[0, 300], Gen.Long[0, long.MaxValue]).Sample((k, v, lease) =>
        {
            byte[] bytes = CommandEncoder.KvPut(k, v, lease);
            Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out var command));
            Assert.Equal(CommandType.KvPut, command.Type);
            Assert.Equal(k, command.Key.ToArray());
            Assert.Equal(v, command.Value.ToArray());
            Assert.Equal(lease, command.LeaseId);
        });

    [Fact]
    public void Delete_round_trips() => Key.Sample(k =>
    {
        byte[] bytes = CommandEncoder.KvDelete(k);
        Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out var command));
        Assert.Equal(CommandType.KvDelete, command.Type);
        Assert.Equal(k, command.Key.ToArray());
    });

    [Fact]
    public void Opaque_round_trips() => Gen.Byte.Array[0, 300].Sample(data =>
    {
        byte[] bytes = CommandEncoder.Opaque(data);
        Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out var command));
        Assert.Equal(CommandType.Opaque, command.Type);
        Assert.Equal(data, command.Value.ToArray());
    });

    [Fact]
    public void Compact_round_trips() => Gen.Long[0, long.MaxValue].Sample(revision =>
    {
        byte[] bytes = CommandEncoder.KvCompact(revision);
        Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out var command));
        Assert.Equal(CommandType.KvCompact, command.Type);
        Assert.Equal(revision, command.Revision);
    });

    [Fact]
    public void Compare_and_set_round_trips() =>
        Gen.Select(Key, Gen.Byte.Array[0, 300], Gen.Long[0, long.MaxValue]).Sample((k, v, rev) =>
        {
            byte[] bytes = CommandEncoder.KvCas(k, rev, v);
            Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out var command));
            Assert.Equal(CommandType.KvCas, command.Type);
            Assert.Equal(k, command.Key.ToArray());
            Assert.Equal(v, command.Value.ToArray());
            Assert.Equal((rev, 0L), (command.Revision, command.LeaseId));
        });

    [Fact]
    public void Ids_and_terms_round_trip() => Gen.Select(
        Gen.ULong[1, ulong.MaxValue],
        Gen.Int[0, Limits.MaxSlotsPerSession - 1],
        Gen.Long[1, long.MaxValue],
        Gen.Long[0, long.MaxValue]).Sample((session, slot, sequence, number) =>
        {
            var id = new RequestId(session, slot, sequence, number);
            byte[][] commands =
            [
                CommandEncoder.KvPut("k"u8, "v"u8, 0, id),
                CommandEncoder.KvDelete("k"u8, id),
                CommandEncoder.KvCompact(1, id),
                CommandEncoder.KvCas("k"u8, 1, "v"u8, id),
                CommandEncoder.Opaque("x"u8, number, id),
            ];
            foreach (byte[] bytes in commands)
            {
                Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out var command));
                Assert.Equal(id, command.Id);
                bool isFenced = command.Type == CommandType.Opaque;
                Assert.Equal(isFenced ? number : 0, command.ExpectedTerm);
            }
        });

    [Fact]
    public void Impossible_ids_are_refused()
    {
        RequestId[] impossible =
        [
            new(0, 1, 0, 0),
            new(0, 0, 1, 0),
            new(0, 0, 0, 1),
            new(1, Limits.MaxSlotsPerSession, 1, 0),
            new(1, 0, 0, 0),
            new(1, 0, 1, -1),
        ];
        foreach (var id in impossible)
            AssertRefused(CommandDecodeStatus.OutOfRange, CommandEncoder.KvDelete("k"u8, id));
    }

    [Fact]
    public void Largest_put_fits_the_stated_limit()
    {
        byte[] bytes = CommandEncoder.KvPut(
            new byte[Limits.MaxKeyBytes], new byte[Limits.UpperMaxValueBytes]);
        Assert.Equal(Limits.MaxCommandBytes, bytes.Length);
        Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out _));
    }

    [Fact]
    public void Every_truncation_and_extension_is_refused()
    {
        byte[][] commands =
        [
            CommandEncoder.KvPut("key"u8, "value"u8),
            CommandEncoder.KvDelete("key"u8),
            CommandEncoder.KvCompact(5),
            CommandEncoder.KvCas("key"u8, 3, "value"u8),
            Convert.FromHexString("01030300" + "6b6579"),
        ];
        foreach (byte[] bytes in commands)
        {
            for (int length = 0; length < bytes.Length; length++)
                AssertRefused(CommandDecodeStatus.Truncated, bytes[..length]);
            AssertRefused(CommandDecodeStatus.TrailingBytes, [.. bytes, 0]);
        }
    }

    [Theory]
    [InlineData(CommandDecodeStatus.UnknownVersion, "0001")]
    [InlineData(CommandDecodeStatus.UnknownVersion, "0301")]
    [InlineData(CommandDecodeStatus.UnknownVersion, "ff01")]
    [InlineData(CommandDecodeStatus.UnknownType, "0100")]
    [InlineData(CommandDecodeStatus.UnknownType, "0105")]
    [InlineData(CommandDecodeStatus.UnknownType, "01ff")]
    [InlineData(CommandDecodeStatus.BadKeyLength, "01030000")]
    [InlineData(CommandDecodeStatus.BadKeyLength, "01030110")]
    [InlineData(CommandDecodeStatus.BadKeyLength, "01020000000000000000000000000000")]
    [InlineData(CommandDecodeStatus.ValueTooLarge, "01020100010000010000000000000000")]
    [InlineData(CommandDecodeStatus.ValueTooLarge, "01020100ffffffff0000000000000000")]
    [InlineData(CommandDecodeStatus.OutOfRange, "01020100000000000000000000000080")]
    [InlineData(CommandDecodeStatus.OutOfRange, "01040000000000000080")]
    [InlineData(CommandDecodeStatus.UnknownType, "0200" + NoId)]
    [InlineData(CommandDecodeStatus.UnknownType, "0206" + NoId)]
    [InlineData(CommandDecodeStatus.BadKeyLength, "0203" + NoId + "0000")]
    [InlineData(CommandDecodeStatus.ValueTooLarge, "0205" + NoId + "0100ffffffff0000000000000000")]
    [InlineData(CommandDecodeStatus.OutOfRange, "0205" + NoId + "0100000000000000000000000080")]
    [InlineData(CommandDecodeStatus.OutOfRange, "0201" + NoId + "0000000000000080")]
    public void Names_what_is_wrong(CommandDecodeStatus expected, string hex) =>
        AssertRefused(expected, Convert.FromHexString(hex));

    [Fact]
    public void Oversized_opaque_is_refused()
    {
        foreach (int headerBytes in new[] { 2, 2 + RequestId.EncodedBytes + 8 })
        {
            byte[] bytes = new byte[headerBytes + Limits.UpperMaxValueBytes + 1];
            bytes[0] = headerBytes == 2 ? (byte)1 : (byte)2;
            bytes[1] = 1;
            AssertRefused(CommandDecodeStatus.ValueTooLarge, bytes);
        }
    }

    [Fact]
    public void Garbage_gets_a_verdict() =>
        Gen.Select(Gen.Byte[0, 3], Gen.Byte[0, 6], Gen.Byte.Array[0, 64]).Sample((v, t, rest) =>
        {
            var status = Command.TryDecode([v, t, .. rest], out var command);
            return Enum.IsDefined(status)
                && status == CommandDecodeStatus.Ok == (command.Type != CommandType.None);
        });

    [Fact]
    public void Encoder_refuses_what_the_decoder_would()
    {
        AssertThrows(StatusCode.BadArgument, () => CommandEncoder.KvPut([], []));
        AssertThrows(StatusCode.BadArgument, () => CommandEncoder.KvPut("k"u8, [], -1));
        AssertThrows(StatusCode.BadArgument, () => CommandEncoder.KvDelete([]));
        AssertThrows(StatusCode.BadArgument, () => CommandEncoder.KvCompact(-1));
        AssertThrows(StatusCode.BadArgument, () => CommandEncoder.KvCas("k"u8, -1, []));
        AssertThrows(StatusCode.BadArgument, () => CommandEncoder.Opaque([], -1));
        byte[] longKey = new byte[Limits.MaxKeyBytes + 1];
        AssertThrows(StatusCode.TooLarge, () => CommandEncoder.KvPut(longKey, []));
        AssertThrows(StatusCode.TooLarge, () => CommandEncoder.KvDelete(longKey));
        byte[] bigValue = new byte[Limits.UpperMaxValueBytes + 1];
        AssertThrows(StatusCode.TooLarge, () => CommandEncoder.KvPut("k"u8, bigValue));
        AssertThrows(StatusCode.TooLarge, () => CommandEncoder.Opaque(bigValue));
    }

    private static void AssertRefused(CommandDecodeStatus expected, byte[] bytes)
    {
        Assert.Equal(expected, Command.TryDecode(bytes, out var command));
        Assert.Equal(CommandType.None, command.Type);
    }

    private static void AssertThrows(StatusCode expected, Action action) =>
        Assert.Equal(expected, Assert.Throws<PgraftException>(action).Code);
}
