// Bytes written by released formats, kept in golden/*.hex, stay readable and stay what we write.
// They were composed from the documented layouts, not by the code under test. A file of a released
// format is never changed: a new format version adds files.
using PgRaft.Core.Commands;
using PgRaft.Core.Requests;

using Xunit;

namespace PgRaft.Core.Tests;

public class GoldenTests
{
    private static readonly RequestId Id =
        new(0x1112131415161718, 0x0a0b, 0x2122232425262728, 0x3132333435363738);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Put(int version)
    {
        var command = Decoded("kv_put", version);
        Assert.Equal(CommandType.KvPut, command.Type);
        Assert.Equal("config/primary"u8, command.Key);
        Assert.Equal("node-2 é"u8, command.Value);
        Assert.Equal(0x0102030405060708, command.LeaseId);
        AssertGolden(
            "kv_put_v2",
            CommandEncoder.KvPut("config/primary"u8, "node-2 é"u8, 0x0102030405060708, Id));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Delete(int version)
    {
        var command = Decoded("kv_delete", version);
        Assert.Equal(CommandType.KvDelete, command.Type);
        Assert.Equal("config/primary"u8, command.Key);
        AssertGolden("kv_delete_v2", CommandEncoder.KvDelete("config/primary"u8, Id));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Compact(int version)
    {
        var command = Decoded("kv_compact", version);
        Assert.Equal(CommandType.KvCompact, command.Type);
        Assert.Equal(0x0102030405060708, command.Revision);
        AssertGolden("kv_compact_v2", CommandEncoder.KvCompact(0x0102030405060708, Id));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Opaque(int version)
    {
        var command = Decoded("opaque", version);
        Assert.Equal(CommandType.Opaque, command.Type);
        Assert.Equal("any data"u8, command.Value);
        Assert.Equal(version == 1 ? 0 : 0x0102030405060708, command.ExpectedTerm);
        AssertGolden("opaque_v2", CommandEncoder.Opaque("any data"u8, 0x0102030405060708, Id));
    }

    [Fact]
    public void Compare_and_set()
    {
        var command = Decoded("kv_cas", 2);
        Assert.Equal(CommandType.KvCas, command.Type);
        Assert.Equal("config/primary"u8, command.Key);
        Assert.Equal("node-2 é"u8, command.Value);
        Assert.Equal((0x0102030405060708, 0L), (command.Revision, command.LeaseId));
        AssertGolden(
            "kv_cas_v2",
            CommandEncoder.KvCas("config/primary"u8, 0x0102030405060708, "node-2 é"u8, Id));
    }

    // The data of both is that of the commands below, the requests of the second are not.
    [Theory]
    [InlineData(1, "0fae8e30f3466adc0b0d3abadad060c5")]
    [InlineData(2, "d11d47ded6b4e1e21970c4231d29fb8a")]
    public void Snapshot(int version, string hash)
    {
        var machine = new StateMachine();
        machine.Put("a", "1");
        machine.Put("a", "2");
        machine.Put("b", "");
        machine.Put("gone", "x");
        machine.Delete("gone");
        machine.Compact(2);
        machine.Put("a", "3");
        machine.Skip(8, 3);
        var restored = Machines.Restored(Golden($"snapshot_v{version}"));
        Assert.Equal(hash, restored.Hash());
        Assert.Equal(8, restored.AppliedIndex);
        Assert.Equal("2", restored.Kv.Get("a", 2));
        Assert.Equal("a b", restored.Kv.Keys());
        Assert.Equal(machine.Kv.Stats, restored.Kv.Stats);
        if (version == 1)
            Assert.Equal(machine.Hash(), restored.Hash());
    }

    [Fact]
    public void Snapshot_with_requests()
    {
        var restored = Machines.Restored(Golden("snapshot_v2"));
        AssertGolden("snapshot_v2", restored.Snapshot());
        Assert.True(restored.TryFindResult(new RequestId(5, 0, 9, 0), out var put));
        Assert.Equal(
            new ApplyResult { Status = StatusCode.Ok, Revision = 3, Index = 3, Existed = true },
            put);
        Assert.True(restored.TryFindResult(new RequestId(5, 7, 1, 0), out var fenced));
        Assert.Equal((StatusCode.NotDone, 4L), (fenced.Status, fenced.Index));
        Assert.True(restored.TryFindResult(Id with { Sequence = 1L << 40 }, out var cas));
        Assert.True(cas is { Existed: true, Matched: true, Revision: 5, Index: 7 });
        Assert.Equal(
            StatusCode.NotFound,
            restored.Apply(9, 3, CommandEncoder.KvDelete("a"u8, new RequestId(6, 0, 1, 1))).Status);
    }

    private static Command Decoded(string name, int version)
    {
        byte[] bytes = Golden($"{name}_v{version}");
        Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(bytes, out var command));
        Assert.Equal(version == 1 ? default : Id, command.Id);
        return command;
    }

    private static void AssertGolden(string name, byte[] actual) =>
        Assert.Equal(Convert.ToHexStringLower(Golden(name)), Convert.ToHexStringLower(actual));

    private static byte[] Golden(string name) => Convert.FromHexString(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "golden", name + ".hex"))
            .ReplaceLineEndings(""));
}
