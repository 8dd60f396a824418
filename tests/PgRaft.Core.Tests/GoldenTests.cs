// Bytes written by released formats, kept in golden/*.hex, stay readable and stay what we write.
// They were composed from the documented layouts, not by the code under test. A file of a released
// format is never changed: a new format version adds files.
using PgRaft.Core.Commands;

using Xunit;

namespace PgRaft.Core.Tests;

public class GoldenTests
{
    // Of the state in snapshot_v1.hex; members of different releases compare it.
    private const string SnapshotHash = "0fae8e30f3466adc0b0d3abadad060c5";

    [Fact]
    public void Put()
    {
        Assert.Equal(
            CommandDecodeStatus.Ok, Command.TryDecode(Golden("kv_put_v1"), out var command));
        Assert.Equal(CommandType.KvPut, command.Type);
        Assert.Equal("config/primary"u8, command.Key);
        Assert.Equal("node-2 é"u8, command.Value);
        Assert.Equal(0x0102030405060708, command.LeaseId);
        AssertGolden(
            "kv_put_v1",
            CommandEncoder.KvPut("config/primary"u8, "node-2 é"u8, 0x0102030405060708));
    }

    [Fact]
    public void Delete()
    {
        Assert.Equal(
            CommandDecodeStatus.Ok, Command.TryDecode(Golden("kv_delete_v1"), out var command));
        Assert.Equal(CommandType.KvDelete, command.Type);
        Assert.Equal("config/primary"u8, command.Key);
        AssertGolden("kv_delete_v1", CommandEncoder.KvDelete("config/primary"u8));
    }

    [Fact]
    public void Compact()
    {
        Assert.Equal(
            CommandDecodeStatus.Ok, Command.TryDecode(Golden("kv_compact_v1"), out var command));
        Assert.Equal(CommandType.KvCompact, command.Type);
        Assert.Equal(0x0102030405060708, command.Revision);
        AssertGolden("kv_compact_v1", CommandEncoder.KvCompact(0x0102030405060708));
    }

    [Fact]
    public void Opaque()
    {
        Assert.Equal(
            CommandDecodeStatus.Ok, Command.TryDecode(Golden("opaque_v1"), out var command));
        Assert.Equal(CommandType.Opaque, command.Type);
        Assert.Equal("any data"u8, command.Value);
        AssertGolden("opaque_v1", CommandEncoder.Opaque("any data"u8));
    }

    [Fact]
    public void Snapshot()
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
        AssertGolden("snapshot_v1", machine.Snapshot());
        var restored = Machines.Restored(Golden("snapshot_v1"));
        Assert.Equal(SnapshotHash, restored.Hash());
        Assert.Equal(8, restored.AppliedIndex);
        Assert.Equal("2", restored.Kv.Get("a", 2));
        Assert.Equal("a b", restored.Kv.Keys());
    }

    private static void AssertGolden(string name, byte[] actual) =>
        Assert.Equal(Convert.ToHexStringLower(Golden(name)), Convert.ToHexStringLower(actual));

    private static byte[] Golden(string name) => Convert.FromHexString(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "golden", name + ".hex"))
            .ReplaceLineEndings(""));
}
