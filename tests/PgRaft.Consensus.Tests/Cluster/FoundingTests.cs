// Founding by a call that ends before the node leads: the founding is on disk and goes on, so the
// call must not say that nothing was changed.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Cluster;

public sealed class FoundingTests
{
    [Fact]
    public async Task AFoundingWhoseTimeRunsOutIsNotCalledUndone()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        using var caller = new CancellationTokenSource();
        node.Io = new FoundingDisk(caller.Cancel)
        {
            // A later term before the founder's first entry is on disk: it cannot lead in its own.
            FirstEntryWritten = () => node.Node.Log.ObserveTerm(100),
        };
        await node.StartAsync(TestCluster.Limit);

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => node.Node.FoundAsync(caller.Token));
        await node.StopAsync();
        node.Io = PhysicalIo.Instance;
        await node.StartAsync(TestCluster.Limit);

        Assert.Equal(StatusCode.OutcomeUnknown, error.Code);
        Assert.Contains("was founded", error.Message, StringComparison.Ordinal);
        Assert.Contains("do not found it again", error.Hint, StringComparison.Ordinal);
        Assert.Same(node, await cluster.LeaderAsync());
        var again = await Assert.ThrowsAsync<PgraftException>(
            () => node.Node.FoundAsync(TestCluster.Limit));
        Assert.Equal(StatusCode.WrongState, again.Code);
    }

    [Fact]
    public async Task AFoundingThatMayBeOnDiskIsNotCalledUndone()
    {
        await using var cluster = new TestCluster();
        var node = cluster.Add(1);
        node.Io = new FoundingDisk(
            () => throw new PgraftException(StatusCode.IoError, "cannot sync the directory"));
        await node.StartAsync(TestCluster.Limit);

        var error = await Assert.ThrowsAsync<PgraftException>(
            () => node.Node.FoundAsync(TestCluster.Limit));
        await node.StopAsync();
        node.Io = PhysicalIo.Instance;
        await node.StartAsync(TestCluster.Limit);

        Assert.Equal(StatusCode.OutcomeUnknown, error.Code);
        Assert.Contains("may have been founded", error.Message, StringComparison.Ordinal);
        Assert.Same(node, await cluster.LeaderAsync());
    }

    // The real disk, and something that happens when the founding has got its name.
    private sealed class FoundingDisk(Action founded) : IStorageIo
    {
        private static readonly PhysicalIo Disk = PhysicalIo.Instance;
        private int _logSyncs;

        public Action? FirstEntryWritten { get; init; }

        public IStorageFile Open(string path) => new LogFile(Disk.Open(path), this);

        public IStorageFile OpenRead(string path) => Disk.OpenRead(path);

        public IStorageFile Create(string path) => Disk.Create(path);

        public IStorageFile CreateNew(string path) => Disk.CreateNew(path);

        public IStorageFile OpenForeign(string path) => Disk.OpenForeign(path);

        public void RenameNew(string source, string target) => Disk.RenameNew(source, target);

        public void Rename(string source, string target)
        {
            Disk.Rename(source, target);
            if (Path.GetFileName(target) == "founding")
            {
                founded();
            }
        }

        public void Delete(string path) => Disk.Delete(path);

        public IReadOnlyList<string> List(string directory) => Disk.List(directory);

        public bool Exists(string path) => Disk.Exists(path);

        public void CreateDirectory(string path) => Disk.CreateDirectory(path);

        public void SyncDirectory(string path) => Disk.SyncDirectory(path);

        private void BeforeSync()
        {
            if (Interlocked.Increment(ref _logSyncs) == 1)
            {
                FirstEntryWritten?.Invoke();
            }
        }

        private sealed class LogFile(IStorageFile file, FoundingDisk disk) : IStorageFile
        {
            public string Path => file.Path;

            public long Length => file.Length;

            public int Read(long offset, Span<byte> buffer) => file.Read(offset, buffer);

            public void Write(long offset, ReadOnlySpan<byte> data) => file.Write(offset, data);

            public void Sync()
            {
                disk.BeforeSync();
                file.Sync();
            }

            public void Dispose() => file.Dispose();
        }
    }
}
