// Founding by a call that ends before the node leads: the founding is on disk and goes on, so the
// call must not say that nothing was changed.
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Storage;
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

    // Something happens when the founding has got its name, and before the first entry is on disk.
    private sealed class FoundingDisk(Action founded) : HookedIo
    {
        private int _logSyncs;

        public Action? FirstEntryWritten { get; init; }

        protected override void Before(IoOperation operation, string path)
        {
            bool isSegment = Path.GetFileName(Path.GetDirectoryName(path)) == "log"
                && !SegmentFiles.IsTemporaryName(Path.GetFileName(path));
            if (operation == IoOperation.Sync && isSegment
                && Interlocked.Increment(ref _logSyncs) == 1)
            {
                FirstEntryWritten?.Invoke();
            }
        }

        protected override void Renamed(string path)
        {
            if (Path.GetFileName(path) == "founding")
            {
                founded();
            }
        }
    }
}
