// Codec of commands: what is written is read, and nothing else is accepted or thrown.
using System.Buffers;

using CsCheck;

using PgRaft.Core.Commands;

using Xunit;

namespace PgRaft.Core.Tests;

public class CommandTests
{
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
    public void Writer_overloads_write_the_same_bytes()
    {
        var writer = new ArrayBufferWriter<byte>();
        CommandEncoder.KvPut(writer, "k"u8, "v"u8, 7);
        CommandEncoder.Opaque(writer, "data"u8);
        byte[] expected =
            [.. CommandEncoder.KvPut("k"u8, "v"u8, 7), .. CommandEncoder.Opaque("data"u8)];
        Assert.Equal(expected, writer.WrittenSpan.ToArray());
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
    [InlineData(CommandDecodeStatus.UnknownVersion, "0201")]
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
    public void Names_what_is_wrong(CommandDecodeStatus expected, string hex) =>
        AssertRefused(expected, Convert.FromHexString(hex));

    [Fact]
    public void Oversized_opaque_is_refused()
    {
        byte[] bytes = new byte[2 + Limits.UpperMaxValueBytes + 1];
        bytes[0] = 1;
        bytes[1] = 1;
        AssertRefused(CommandDecodeStatus.ValueTooLarge, bytes);
    }

    [Fact]
    public void Garbage_gets_a_verdict() =>
        Gen.Select(Gen.Byte[0, 2], Gen.Byte[0, 6], Gen.Byte.Array[0, 64]).Sample((v, t, rest) =>
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
