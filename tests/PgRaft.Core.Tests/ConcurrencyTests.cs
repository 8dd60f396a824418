// Readers run beside the writer without locks and must only ever see whole states. Every command
// keeps an invariant that a torn state would break.
using System.Globalization;

using PgRaft.Core.Commands;
using PgRaft.Core.Requests;
using PgRaft.Core.Snapshots;

using Xunit;

namespace PgRaft.Core.Tests;

public class ConcurrencyTests
{
    private const int Entries = 20_000;
    private const int Keys = 100;

    [Fact]
    public async Task Readers_see_whole_states()
    {
        var machine = new StateMachine();
        using var done = new CancellationTokenSource();
        var readers = Enumerable.Range(0, 2)
            .Select(_ => Task.Run(() => ReadUntil(machine, done.Token), CancellationToken.None))
            .ToArray();
        for (int i = 1; i <= Entries; i++)
            Write(machine, i);
        await done.CancelAsync();
        foreach (long reads in await Task.WhenAll(readers))
            Assert.True(reads > 0);
        Assert.Equal(Entries, machine.AppliedIndex);
    }

    [Fact]
    public async Task A_snapshot_taken_while_applying_is_that_of_its_index()
    {
        var machine = new StateMachine();
        for (int i = 1; i <= 2000; i++)
            Write(machine, i);
        var image = machine.Capture();
        string expected = StateHash.ComputeHex(image, CancellationToken.None);
        using var started = new ManualResetEventSlim();
        using var stream = new SignallingStream(started);
        var writing = Task.Run(
            () => SnapshotWriter.Write(stream, image, CancellationToken.None),
            CancellationToken.None);
        Assert.True(started.Wait(TimeSpan.FromSeconds(30), CancellationToken.None));
        for (int i = 2001; i <= 4000; i++)
            Write(machine, i);
        stream.Proceed.Set();
        await writing;
        Assert.Equal(expected, Machines.Restored(stream.ToArray()).Hash());
        Assert.NotEqual(expected, machine.Hash());
    }

    // Deletes meet live keys and dead ones; compactions run beside the readers too.
    private static void Write(StateMachine machine, int i)
    {
        string key = "key" + (i % Keys).ToString(CultureInfo.InvariantCulture);
        if (i % 500 == 0)
            machine.Compact(machine.Kv.Revision);
        else if (i % 7 == 0)
            machine.Delete(key);
        else
            machine.Next(CommandEncoder.KvPut(Machines.Bytes(key), [(byte)i], 0, Id(i)));
    }

    private static RequestId Id(int i) => new(1, i % 5, i, 0);

    private static long ReadUntil(StateMachine machine, CancellationToken done)
    {
        long reads = 0;
        long lastIndex = 0;
        do
        {
            var image = machine.Capture();
            Assert.True(image.AppliedIndex >= lastIndex);
            lastIndex = image.AppliedIndex;
            AssertWhole(image);
            reads++;
        }
        while (!done.IsCancellationRequested);
        return reads;
    }

    private static void AssertWhole(StateImage image)
    {
        var stats = image.Kv.Stats;
        var entries = image.Kv.List(default).ToList();
        Assert.Equal(stats.TotalKeys, entries.Count);
        foreach (var session in image.Requests.Sessions)
            Assert.InRange(session.LastIndex, image.AppliedIndex - 7, image.AppliedIndex);
        Assert.Equal(stats.TotalBytes, entries.Sum(e => e.Key.Length + e.Value.Length));
        Assert.Equal(stats.Revision, stats.Puts + stats.Deletes);
        foreach (var entry in entries)
        {
            Assert.InRange(entry.ModRevision, 1, stats.Revision);
            Assert.True(image.Kv.TryGet(entry.Key.Span, stats.Revision, out var again));
            Assert.Equal(entry.ModRevision, again.ModRevision);
        }
    }

    /// <summary>Reports its first write and waits until it may go on.</summary>
    private sealed class SignallingStream(ManualResetEventSlim started) : MemoryStream
    {
        public ManualResetEventSlim Proceed { get; } = new();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            started.Set();
            Proceed.Wait(TimeSpan.FromSeconds(30));
            base.Write(buffer);
        }

        protected override void Dispose(bool disposing)
        {
            Proceed.Dispose();
            base.Dispose(disposing);
        }
    }
}
