// Backup files: what is written is read, nothing damaged is taken, nothing is overwritten, and no
// crash leaves half of one under its name.
using PgRaft.Consensus.Recovery;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using PgRaft.Core.Snapshots;
using Xunit;

namespace PgRaft.Consensus.Tests.Recovery;

public sealed class BackupFileTests
{
    private const int MaxSteps = 200;

    [Fact]
    public void WhatIsWrittenIsRead()
    {
        var disk = new SimulatedDisk();
        var state = Backups.State(keys: 50);
        var written = Backups.Write(disk, state);
        var read = Backups.Verify(disk);

        Assert.Equal(written, read);
        Assert.Equal((50, 2, 7, 50), (read.Index, read.Term, read.CurrentTerm, read.Revision));
        Assert.Equal(HashOf(state), read.StateHash);
        Assert.Equal(("test", 3, "1.0"), (read.ClusterId, read.NodeId, read.Version));
        Assert.Equal(1_700_000_000_123, read.TakenAt.ToUnixTimeMilliseconds());
        Assert.Equal(disk.Content(Backups.Path).Length, read.TotalBytes);
        Assert.Equal([Path.GetFileName(Backups.Path)], disk.List("/backups"));
    }

    // A released format stays readable and stays what we write.
    [Fact]
    public void VersionOneIsWhatItWas()
    {
        byte[] golden = Convert.FromHexString(
            File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "golden", "backup_v1.hex"))
                .ReplaceLineEndings(string.Empty));
        var disk = new SimulatedDisk();
        Backups.Write(disk, Backups.State(keys: 3));

        Assert.Equal(Convert.ToHexString(golden), Convert.ToHexString(disk.Content(Backups.Path)));
        var old = new SimulatedDisk();
        Put(old, golden);
        Assert.Equal("79c447a41d0f2d6aad2357704eda1844", Backups.Verify(old).StateHash);
    }

    [Fact]
    public void AFlippedBitIsRefusedWhereverItIs()
    {
        var disk = new SimulatedDisk();
        long length = Backups.Write(disk, Backups.State(keys: 5)).TotalBytes;
        for (int offset = 0; offset < length; offset++)
        {
            disk.Flip(Backups.Path, offset);
            var error = Assert.Throws<PgraftException>(() => Backups.Verify(disk));
            Assert.True(error.Code == StatusCode.BadArgument, $"offset {offset}: {error}");
            disk.Flip(Backups.Path, offset);
        }

        Backups.Verify(disk);
    }

    [Fact]
    public void AFileThatWasCutOffIsRefusedWhereverItEnds()
    {
        var disk = new SimulatedDisk();
        byte[] whole = ContentOf(disk, keys: 5);
        for (int length = 0; length < whole.Length; length++)
        {
            Put(disk, whole.AsSpan(0, length));
            var error = Assert.Throws<PgraftException>(() => Backups.Verify(disk));
            Assert.True(error.Code == StatusCode.BadArgument, $"length {length}: {error}");
        }

        Put(disk, [.. whole, 0]);
        Assert.Throws<PgraftException>(() => Backups.Verify(disk));
    }

    // It was verified, and is another when it is copied.
    [Fact]
    public void AFileThatChangesWhileItIsRestoredIsNotTaken()
    {
        var disk = new SimulatedDisk();
        Backups.Write(disk, Backups.State(keys: 5));
        using var file = BackupFile.Open(disk, Backups.Path);
        file.VerifyChecksum(TestContext.Current.CancellationToken);
        file.CopyContent(Stream.Null, TestContext.Current.CancellationToken);
        disk.Flip(Backups.Path, 200);
        Assert.Throws<PgraftException>(
            () => file.CopyContent(Stream.Null, TestContext.Current.CancellationToken));
    }

    // Checksums right, content another's: as if somebody had put two backups together.
    [Fact]
    public void AStateThatIsNotTheHeadersIsRefused()
    {
        var disk = new SimulatedDisk();
        var other = Backups.About() with
        {
            Index = 5,
            Term = 2,
            Revision = 5,
            StateHash = new string('0', 32),
        };
        using (var file = new SnapshotFile(disk, Backups.Path))
        {
            file.Append(BackupFormat.EncodeHeader(other));
            using var content = new SnapshotContentWriter(file);
            Core.Snapshots.SnapshotWriter.Write(
                content, Backups.State(keys: 5).Capture(), TestContext.Current.CancellationToken);
            content.Drain();
            long total = file.Length + BackupFormat.FooterBytes;
            file.Append(BackupFormat.EncodeFooter(total, file.RunningChecksum));
            file.Publish(Backups.Path);
        }

        var error = Assert.Throws<PgraftException>(() => Backups.Verify(disk));
        Assert.Contains("not what its header says", error.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherFormatIsNamed()
    {
        var disk = new SimulatedDisk();
        byte[] content = ContentOf(disk, keys: 1);
        content[8] = 2;
        Put(disk, content);
        var error = Assert.Throws<PgraftException>(() => Backups.Verify(disk));
        Assert.Contains(
            "has format 2, this version reads 1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhateverHasTheNameIsLeftAlone()
    {
        var disk = new SimulatedDisk();
        Put(disk, [1, 2, 3]);
        var error = Assert.Throws<PgraftException>(
            () => Backups.Write(disk, Backups.State(keys: 1)));
        Assert.Equal(StatusCode.BadArgument, error.Code);
        Assert.Equal([1, 2, 3], disk.Content(Backups.Path));
        Assert.Single(disk.List("/backups"));
    }

    // The early look is a courtesy; this is the guard.
    [Fact]
    public void ANameThatIsTakenMeanwhileIsNotOverwritten()
    {
        var disk = new SimulatedDisk();
        using var file = new SnapshotFile(disk, "/backups/temporary", isNew: true);
        file.Append([4]);
        Put(disk, [1, 2, 3]);
        Assert.Throws<PgraftException>(() => file.Publish(Backups.Path));
        Assert.Equal([1, 2, 3], disk.Content(Backups.Path));
        file.Dispose();
        Assert.Single(disk.List("/backups"));
    }

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Everything)]
    [InlineData(Survival.Random)]
    internal void APowerFailureLeavesAWholeFileOrNone(Survival survival)
    {
        for (int step = 1; step < MaxSteps; step++)
        {
            var disk = new SimulatedDisk { PowerOffAtStep = step };
            bool written = TryWrite(disk);
            var found = disk.Reboot(survival, new Random(step));
            if (found.Exists(Backups.Path))
            {
                Assert.Equal(3, Backups.Verify(found).Index);
            }

            Assert.True(!written || found.Exists(Backups.Path), $"step {step}: it is gone");
            if (!disk.IsOff)
            {
                Assert.InRange(step, 5, MaxSteps);
                return;
            }
        }

        Assert.Fail("writing never ended");
    }

    [Fact]
    public void AFullDiskLeavesNothing()
    {
        var disk = new SimulatedDisk { SpaceBytes = 1000 };
        var error = Assert.Throws<PgraftException>(
            () => Backups.Write(disk, Backups.State(keys: 100, valueBytes: 1000)));
        Assert.Equal(StatusCode.DiskFull, error.Code);
        Assert.Contains(Backups.Path, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("data_dir", error.Hint, StringComparison.Ordinal);
        Assert.Empty(disk.List("/backups"));
    }

    [Fact]
    public void AFailedSyncLeavesNothing()
    {
        var disk = new SimulatedDisk { FailSync = 1 };
        var error = Assert.Throws<PgraftException>(
            () => Backups.Write(disk, Backups.State(keys: 1)));
        Assert.Equal(StatusCode.IoError, error.Code);
        Assert.Empty(disk.List("/backups"));
    }

    [Fact]
    public void ACallThatIsCancelledLeavesNothing()
    {
        var disk = new SimulatedDisk();
        Assert.ThrowsAny<OperationCanceledException>(() => BackupWriter.Write(
            disk, Backups.Path, Backups.State(keys: 1).Capture(), Backups.About(),
            new CancellationToken(canceled: true)));
        Assert.Empty(disk.List("/backups"));
    }

    private static bool TryWrite(SimulatedDisk disk)
    {
        try
        {
            Backups.Write(disk, Backups.State(keys: 3));
            return true;
        }
        catch (PgraftException) when (disk.IsOff)
        {
            return false;
        }
    }

    private static string HashOf(StateMachine state) =>
        StateHash.ComputeHex(state.Capture(), TestContext.Current.CancellationToken);

    private static byte[] ContentOf(SimulatedDisk disk, int keys)
    {
        Backups.Write(disk, Backups.State(keys));
        return disk.Content(Backups.Path);
    }

    private static void Put(SimulatedDisk disk, ReadOnlySpan<byte> content)
    {
        using var file = disk.Create(Backups.Path);
        file.Write(0, content);
        file.Sync();
        disk.SyncDirectory("/backups");
    }
}
