// What a snapshot that is being written leaves of the disk to the log.
using System.Diagnostics;
using PgRaft.Consensus.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class SnapshotPaceTests
{
    private const int PieceBytes = 1024 * 1024;
    private const int Pieces = 5;

    [Fact]
    public void It_is_synced_piece_by_piece_and_rests_as_long_as_that_took()
    {
        using var directory = new TemporaryDirectory();
        var disk = new SlowDisk();
        var store = SnapshotStore.Open(directory["snapshots"], disk);
        using (var writer = store.CreateWriter(
            1, 1, 0, "voters"u8, 0, TestContext.Current.CancellationToken))
        {
            WritePieces(writer, 1 + Pieces);

            // A timer may be early by less than a tick of the clock.
            Assert.Equal(Pieces, disk.Gaps.Count);
            Assert.All(disk.Gaps, gap => Assert.True(
                gap.TotalMilliseconds > SlowDisk.SyncMs - 1, $"rested {gap}"));
            writer.Commit();
        }

        Assert.Equal(1, store.Current!.Index);
    }

    // A disk that stands still for long would otherwise stop the snapshot for as long again.
    [Fact]
    public void It_rests_a_quarter_of_a_second_at_most()
    {
        var least = LeastGap(500, TestContext.Current.CancellationToken);
        Assert.InRange(least.TotalMilliseconds, 249, 480);
    }

    [Fact]
    public async Task Who_ends_it_does_not_wait_for_its_rest()
    {
        using var stopping = new CancellationTokenSource();
        await stopping.CancelAsync();
        var least = LeastGap(500, stopping.Token);
        Assert.InRange(least.TotalMilliseconds, 0, 200);
    }

    // The least of several: the disk of a busy machine may be slow by itself.
    private static TimeSpan LeastGap(int extraMs, CancellationToken token)
    {
        using var directory = new TemporaryDirectory();
        var disk = new SlowDisk { ExtraMs = extraMs };
        var store = SnapshotStore.Open(directory["snapshots"], disk);
        using var writer = store.CreateWriter(1, 1, 0, "voters"u8, 0, token);
        WritePieces(writer, 4);
        return disk.Gaps.Min();
    }

    private static void WritePieces(SnapshotWriter writer, int pieces)
    {
        for (int i = 0; i < pieces; i++)
        {
            writer.Content.Write(new byte[PieceBytes]);
        }
    }

    // How long after each sync of a file it was next written to.
    private sealed class SlowDisk : HookedIo
    {
        public const int SyncMs = 20;

        private long _syncedAt;

        public List<TimeSpan> Gaps { get; } = [];

        public int ExtraMs { get; init; }

        protected override void Before(IoOperation operation, string path)
        {
            if (operation == IoOperation.Sync)
            {
                SpinWait.SpinUntil(() => false, SyncMs + ExtraMs);
                _syncedAt = Stopwatch.GetTimestamp();
            }
            else if (operation == IoOperation.Write && _syncedAt != 0)
            {
                Gaps.Add(Stopwatch.GetElapsedTime(_syncedAt));
                _syncedAt = 0;
            }
        }
    }
}
