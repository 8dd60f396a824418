// Snapshots: found only when complete and right, replaced atomically, received byte for byte.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class SnapshotStoreTests
{
    private const string Directory = "/snapshots";

    private static readonly byte[] Voters = "voters"u8.ToArray();

    [Fact]
    public void A_new_store_has_none()
    {
        var store = SnapshotStore.Open(Directory, new SimulatedDisk());
        Assert.Null(store.Current);
        Assert.Equal(StatusCode.WrongState, Assert.Throws<PgraftException>(store.OpenRead).Code);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(200_000)]
    public void What_was_committed_is_found_and_read_back(int bytes)
    {
        var disk = new SimulatedDisk();
        byte[] content = Content(bytes);
        SnapshotInfo written = Write(SnapshotStore.Open(Directory, disk), 10, 2, content);
        var store = SnapshotStore.Open(Directory, disk.Reboot(Survival.Nothing, new Random(1)));
        SnapshotInfo found = store.Current!;
        Assert.Equal((10, 2, 7, written.TotalBytes),
            (found.Index, found.Term, found.ConfigurationIndex, found.TotalBytes));
        Assert.Equal(Voters, found.Configuration.ToArray());
        Assert.Equal(content, ReadAll(store.OpenRead()));
    }

    [Fact]
    public void An_older_one_is_deleted_but_stays_readable_while_open()
    {
        using var directory = new TemporaryDirectory();
        var store = SnapshotStore.Open(directory["snapshots"]);
        Write(store, 10, 2, Content(1000));
        using Stream open = store.OpenRead();
        using Stream raw = store.OpenRaw(out SnapshotInfo info);
        Write(store, 20, 2, Content(10));
        Assert.Single(System.IO.Directory.GetFiles(directory["snapshots"]));
        Assert.Equal(Content(1000), ReadAll(open));
        Assert.Equal(info.TotalBytes, ReadAll(raw).Length);
        Assert.Equal(Content(10), ReadAll(store.OpenRead()));
    }

    [Fact]
    public void One_that_is_not_newer_is_refused_and_deleted()
    {
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        Write(store, 10, 2, Content(100));
        Assert.Equal(StatusCode.WrongState,
            Assert.Throws<PgraftException>(() => Write(store, 10, 2, Content(5))).Code);
        Assert.Equal(10, store.Current!.Index);
        Assert.Single(disk.List(Directory));
    }

    [Fact]
    public void One_that_is_not_committed_leaves_nothing()
    {
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        using (SnapshotWriter writer = store.CreateWriter(
            10, 1, 1, Voters, 0, TestContext.Current.CancellationToken))
        {
            writer.Content.Write(Content(100_000));
        }

        Assert.Null(store.Current);
        Assert.Empty(disk.List(Directory));
    }

    // Named by a process that was killed before the sync of the directory.
    [Fact]
    public void What_was_found_is_durable()
    {
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        disk.FailSync = disk.Syncs + 2;
        Assert.Throws<PgraftException>(() => Write(store, 10, 2, Content(100)));
        disk.FailSync = 0;
        Assert.Equal(10, SnapshotStore.Open(Directory, disk).Current?.Index);
        var survivor = disk.Reboot(Survival.Nothing, new Random(1));
        Assert.Equal(10, SnapshotStore.Open(Directory, survivor).Current?.Index);
    }

    [Fact]
    public void A_full_disk_or_a_failed_sync_leaves_the_old_one()
    {
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        Write(store, 10, 2, Content(100));
        disk.SpaceBytes = 1000;
        Assert.Equal(StatusCode.DiskFull,
            Assert.Throws<PgraftException>(() => Write(store, 20, 2, Content(5000))).Code);
        disk.SpaceBytes = long.MaxValue;
        disk.FailSync = disk.Syncs + 1;
        Assert.Equal(StatusCode.IoError,
            Assert.Throws<PgraftException>(() => Write(store, 20, 2, Content(5000))).Code);
        Assert.Equal(10, store.Current!.Index);
        Assert.Single(disk.List(Directory));
        Write(store, 20, 2, Content(5000));
    }

    [Theory]
    [InlineData(Survival.Nothing)]
    [InlineData(Survival.Everything)]
    [InlineData(Survival.Random)]
    internal void Power_failure_at_any_step_leaves_a_whole_snapshot(Survival survival)
    {
        for (int step = 1; ; step++)
        {
            var disk = new SimulatedDisk { PowerOffAtStep = step };
            int confirmed = 0;
            try
            {
                var store = SnapshotStore.Open(Directory, disk);
                for (int i = 1; i <= 3; i++)
                {
                    Write(store, i, 1, Content(70_000 * i));
                    confirmed = i;
                }
            }
            catch (PgraftException) when (disk.IsOff)
            {
            }

            var found = SnapshotStore.Open(Directory, disk.Reboot(survival, new Random(step)));
            int index = (int)(found.Current?.Index ?? 0);
            Assert.InRange(index, confirmed, confirmed + 1);
            Assert.Empty(found.Rejected);
            if (index > 0)
            {
                Assert.Equal(Content(70_000 * index), ReadAll(found.OpenRead()));
            }

            if (!disk.IsOff)
            {
                Assert.True(step > 15);
                return;
            }
        }
    }

    [Fact]
    public void Any_flipped_bit_is_found_before_the_content_is_used()
    {
        var disk = new SimulatedDisk();
        string path = Write(SnapshotStore.Open(Directory, disk), 10, 2, Content(300)).Path;
        for (int offset = 0; offset < disk.Content(path).Length; offset++)
        {
            SimulatedDisk damaged = disk.Clone();
            damaged.Flip(path, offset);
            var error = Assert.Throws<PgraftException>(
                () => ReadAll(SnapshotStore.Open(Directory, damaged).OpenRead()));
            Assert.Equal(StatusCode.IoError, error.Code);
            Assert.Contains(path, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_partial_file_is_never_taken_for_a_snapshot()
    {
        var disk = new SimulatedDisk();
        string path = Write(SnapshotStore.Open(Directory, disk), 10, 2, Content(300)).Path;
        int length = disk.Content(path).Length;
        for (int cut = length - 1; cut >= 0; cut--)
        {
            disk.Cut(path, cut);
            Assert.Throws<PgraftException>(() => SnapshotStore.Open(Directory, disk));
        }
    }

    [Fact]
    public void A_damaged_newest_is_passed_over_for_an_older_one_and_named()
    {
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        Write(store, 10, 2, Content(300));
        byte[] older = disk.Content(store.Current!.Path);
        string olderPath = store.Current.Path;
        string newerPath = Write(store, 20, 2, Content(300)).Path;
        using (IStorageFile file = disk.Create(olderPath))
        {
            file.Write(0, older);
        }

        disk.Cut(newerPath, 200);
        store = SnapshotStore.Open(Directory, disk);
        Assert.Equal(10, store.Current!.Index);
        Assert.Contains(newerPath, Assert.Single(store.Rejected), StringComparison.Ordinal);
        Write(store, 21, 2, Content(1));
        Assert.Single(disk.List(Directory));
    }

    [Fact]
    public void A_file_under_another_snapshots_name_is_refused()
    {
        var disk = new SimulatedDisk();
        string path = Write(SnapshotStore.Open(Directory, disk), 10, 2, Content(300)).Path;
        disk.Rename(path, Path.Combine(Directory, SnapshotFormat.NameOf(11, 2)));
        var error = Assert.Throws<PgraftException>(() => SnapshotStore.Open(Directory, disk));
        Assert.Contains("index 10", error.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Unfinished_files_are_deleted_at_start_and_others_left_alone()
    {
        var disk = new SimulatedDisk();
        disk.Create("/snapshots/" + SnapshotFormat.TemporaryNameOf(4)).Dispose();
        disk.Create("/snapshots/term.tmp").Dispose();
        SnapshotStore.Open(Directory, disk);
        Assert.Equal(["term.tmp"], disk.List(Directory));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(4096)]
    [InlineData(int.MaxValue)]
    public void A_received_file_equals_the_one_sent(int piece)
    {
        byte[] file = SentFile(out SnapshotInfo sent, 3000);
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        using SnapshotReceiver receiver = store.ReceiveWriter(sent.Index, sent.Term, file.Length);
        for (int at = 0; at < file.Length;)
        {
            Assert.Equal(at, receiver.ReceivedBytes);
            int count = Math.Min(piece, file.Length - at);
            receiver.Write(at, file.AsSpan(at, count));
            at += count;
        }

        Assert.Null(store.Current);
        SnapshotInfo info = receiver.CommitReceived();
        Assert.Equal(file, disk.Content(info.Path));
        store = SnapshotStore.Open(Directory, disk.Reboot(Survival.Nothing, new Random(1)));
        Assert.Equal(Content(3000), ReadAll(store.OpenRead()));
    }

    [Fact]
    public void A_received_file_that_is_short_damaged_or_another_is_refused_and_deleted()
    {
        byte[] file = SentFile(out SnapshotInfo sent, 300);
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        Refused(store, sent.Index, file, file.Length + 1);
        Refused(store, sent.Index + 1, file, file.Length);
        for (int offset = 0; offset < file.Length; offset++)
        {
            byte[] damaged = [.. file];
            damaged[offset] ^= 1;
            Refused(store, sent.Index, damaged, file.Length);
        }

        Assert.Null(store.Current);
        Assert.Empty(disk.List(Directory));
    }

    [Fact]
    public void Pieces_out_of_order_or_beyond_the_end_are_refused_and_harmless()
    {
        byte[] file = SentFile(out SnapshotInfo sent, 300);
        var store = SnapshotStore.Open(Directory, new SimulatedDisk());
        using SnapshotReceiver receiver = store.ReceiveWriter(sent.Index, sent.Term, file.Length);
        receiver.Write(0, file.AsSpan(0, 100));
        (long, int)[] misfits = [(0, 100), (101, 1), (100, file.Length)];
        foreach ((long offset, int count) in misfits)
        {
            var error = Assert.Throws<PgraftException>(
                () => receiver.Write(offset, new byte[count]));
            Assert.Equal(StatusCode.BadArgument, error.Code);
        }

        receiver.Write(100, file.AsSpan(100));
        receiver.CommitReceived();
        Assert.Equal(sent.Index, store.Current!.Index);
        Assert.Equal(StatusCode.BadArgument,
            Assert.Throws<PgraftException>(() => store.ReceiveWriter(1, 1, 3)).Code);
    }

    [Fact]
    public void Abort_deletes_what_was_received()
    {
        byte[] file = SentFile(out SnapshotInfo sent, 300);
        var disk = new SimulatedDisk();
        var store = SnapshotStore.Open(Directory, disk);
        SnapshotReceiver receiver = store.ReceiveWriter(sent.Index, sent.Term, file.Length);
        receiver.Write(0, file);
        receiver.Abort();
        Assert.Empty(disk.List(Directory));
        Assert.Throws<ObjectDisposedException>(() => receiver.Write(file.Length, []));
    }

    private static void Refused(SnapshotStore store, long index, byte[] file, int totalBytes)
    {
        using SnapshotReceiver receiver = store.ReceiveWriter(index, 2, totalBytes);
        receiver.Write(0, file);
        var error = Assert.Throws<PgraftException>(receiver.CommitReceived);
        Assert.Equal(StatusCode.BadArgument, error.Code);
    }

    // Taken for damage it would be passed over, and the member would go on from an older state.
    [Fact]
    public void One_that_a_newer_version_wrote_is_refused_and_none_stands_in_for_it()
    {
        using var directory = new TemporaryDirectory();
        string path = directory["snapshots"];
        var store = SnapshotStore.Open(path);
        string old = Write(store, 10, 2, Content(100)).Path;
        byte[] kept = File.ReadAllBytes(old);
        Write(store, 20, 2, Content(100), DataVersions.Newest + 1);
        File.WriteAllBytes(old, kept);

        var error = Assert.Throws<PgraftException>(() => SnapshotStore.Open(path));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.EndsWith(
            $"has version {DataVersions.Newest + 1}, "
                + $"but this pgraft reads no newer one than {DataVersions.Newest}",
            error.Message, StringComparison.Ordinal);
        Assert.Equal(2, System.IO.Directory.GetFiles(path).Length);
    }

    [Fact]
    public void One_of_a_newer_layout_is_told_from_a_damaged_one()
    {
        using var directory = new TemporaryDirectory();
        var store = SnapshotStore.Open(directory["snapshots"]);
        string path = Write(store, 10, 2, Content(100)).Path;
        byte[] file = File.ReadAllBytes(path);
        file[8] = 7;
        int checkedBytes = SnapshotFormat.HeaderBytes(Voters.Length) - SnapshotFormat.ChecksumBytes;
        BitConverter.TryWriteBytes(
            file.AsSpan(checkedBytes), Crc32C.Of(file.AsSpan(0, checkedBytes)));
        File.WriteAllBytes(path, file);
        var error = Assert.Throws<PgraftException>(
            () => SnapshotStore.Open(directory["snapshots"]));
        Assert.Equal(
            (StatusCode.WrongState,
                $"snapshot \"{path}\" has version 7, but this pgraft reads no newer one than 1"),
            (error.Code, error.Message));
        file[checkedBytes]++;
        File.WriteAllBytes(path, file);
        error = Assert.Throws<PgraftException>(() => SnapshotStore.Open(directory["snapshots"]));
        Assert.Equal(StatusCode.IoError, error.Code);
    }

    [Fact]
    public void One_of_a_newer_version_is_not_received()
    {
        var sender = SnapshotStore.Open(Directory, new SimulatedDisk());
        Write(sender, 10, 2, Content(100), DataVersions.Newest + 1);
        byte[] file = ReadAll(sender.OpenRaw(out _));
        var store = SnapshotStore.Open(Directory, new SimulatedDisk());
        using SnapshotReceiver receiver = store.ReceiveWriter(10, 2, file.Length);
        receiver.Write(0, file);
        var error = Assert.Throws<PgraftException>(receiver.CommitReceived);
        Assert.Equal(StatusCode.BadArgument, error.Code);
        Assert.Contains(
            $"has version {DataVersions.Newest + 1}, but this pgraft reads no newer one than "
                + DataVersions.Newest,
            error.Detail, StringComparison.Ordinal);
        Assert.Null(store.Current);
    }

    private static byte[] SentFile(out SnapshotInfo info, int contentBytes)
    {
        var store = SnapshotStore.Open(Directory, new SimulatedDisk());
        Write(store, 10, 2, Content(contentBytes));
        return ReadAll(store.OpenRaw(out info));
    }

    private static SnapshotInfo Write(
        SnapshotStore store, long index, long term, byte[] content, int dataVersion = 0)
    {
        using SnapshotWriter writer = store.CreateWriter(
            index, term, 7, Voters, dataVersion, TestContext.Current.CancellationToken);
        writer.Content.Write(content.AsSpan(0, content.Length / 2));
        foreach (byte[] piece in content.Skip(content.Length / 2).Chunk(1000))
        {
            writer.Content.Write(piece, 0, piece.Length);
        }

        return writer.Commit();
    }

    private static byte[] Content(int bytes)
    {
        byte[] content = new byte[bytes];
        new Random(bytes).NextBytes(content);
        return content;
    }

    private static byte[] ReadAll(Stream stream)
    {
        using (stream)
        {
            var all = new MemoryStream();
            stream.CopyTo(all, 777);
            return all.ToArray();
        }
    }
}
