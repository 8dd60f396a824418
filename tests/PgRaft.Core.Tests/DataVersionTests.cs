// The versions of commands and snapshots, and that what a newer version wrote stops this one
// instead of being passed over: other members would have applied it.
using System.Buffers.Binary;

using PgRaft.Core.Commands;
using PgRaft.Core.Snapshots;

using Xunit;

namespace PgRaft.Core.Tests;

public class DataVersionTests
{
    private const int TooNew = DataVersions.Newest + 1;

    private readonly StateMachine _machine = new();

    [Fact]
    public void A_command_says_its_version()
    {
        byte[] command = CommandEncoder.KvDelete("k"u8);
        Assert.Equal(DataVersions.OldestWritten, Command.VersionOf(command));
        Assert.Equal(0, Command.VersionOf([]));
        foreach (int version in new[] { DataVersions.OldestWritten, DataVersions.Newest })
        {
            command = CommandEncoder.KvPut("k"u8, "v"u8, version: version);
            Assert.Equal(version, Command.VersionOf(command));
            Assert.Equal(CommandDecodeStatus.Ok, Command.TryDecode(command, out _));
        }
    }

    [Theory]
    [InlineData(DataVersions.OldestWritten - 1)]
    [InlineData(TooNew)]
    public void What_is_not_written_cannot_be_encoded(int version) =>
        Assert.Throws<ArgumentOutOfRangeException>(
            () => CommandEncoder.KvPut("k"u8, "v"u8, version: version));

    [Fact]
    public void A_command_of_a_newer_version_stops_the_machine()
    {
        _machine.Put("k", "v");
        byte[] command = CommandEncoder.KvPut("k"u8, "w"u8);
        command[0] = TooNew;

        var error = Assert.Throws<PgraftException>(() => _machine.Next(command));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Equal(
            $"log entry 2 has version {TooNew}, "
                + $"but this pgraft reads no newer one than {DataVersions.Newest}",
            error.Message);
        Assert.Equal((1L, "v"), (_machine.AppliedIndex, _machine.Kv.Get("k")));
    }

    [Fact]
    public void A_snapshot_is_of_the_version_of_the_newest_command_it_covers()
    {
        _machine.Put("k", "v");
        Assert.Equal(DataVersions.OldestWritten, _machine.DataVersion);
        Assert.Equal(DataVersions.OldestWritten, VersionOf(_machine.Snapshot()));
        _machine.Next(CommandEncoder.KvPut("k"u8, "w"u8, version: DataVersions.Newest));
        Assert.Equal(DataVersions.Newest, _machine.DataVersion);
        _machine.Skip(3, 1);
        _machine.Put("k", "x");
        byte[] snapshot = _machine.Snapshot();
        Assert.Equal(DataVersions.Newest, VersionOf(snapshot));
        Assert.Equal(DataVersions.Newest, Machines.Restored(snapshot).DataVersion);
    }

    [Fact]
    public void A_snapshot_of_a_newer_version_is_refused_with_both_versions()
    {
        byte[] bytes = _machine.Snapshot();
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), TooNew);
        var crc = default(Crc32C);
        crc.Append(bytes.AsSpan(0, SnapshotFormat.HeaderBytes - 4));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), crc.Value);

        var error = Assert.Throws<PgraftException>(() => Machines.Restored(bytes));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Equal(
            $"a snapshot has version {TooNew}, "
                + $"but this pgraft reads no newer one than {DataVersions.Newest}",
            error.Message);
    }

    // The image's version goes with it, or a member that takes it over could hand it on to one that
    // cannot read it. With one written version the two are told apart by the version asked for.
    [Fact]
    public void The_version_of_a_snapshot_is_that_of_its_image()
    {
        var image = new StateImage(
            _machine.Capture().Applied with { DataVersion = DataVersions.OldestRead },
            _machine.Capture().Requests);
        using var stream = new MemoryStream();
        SnapshotWriter.Write(stream, image, CancellationToken.None);
        Assert.Equal(DataVersions.OldestRead, VersionOf(stream.ToArray()));
    }

    private static int VersionOf(byte[] snapshot) =>
        BinaryPrimitives.ReadInt32LittleEndian(snapshot.AsSpan(8));
}
