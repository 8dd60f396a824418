// A log on a simulated disk, with the shorthand the tests read by.
using System.Text;
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

internal sealed class LogFixture : IDisposable
{
    internal const string Directory = "/log";

    internal LogFixture(SimulatedDisk? disk = null, long baseIndex = 0, long baseTerm = 0)
    {
        Disk = disk ?? new SimulatedDisk();
        Log = SegmentedLog.Open(LogModel.OptionsOn(Disk), baseIndex, baseTerm);
    }

    internal SimulatedDisk Disk { get; private set; }

    internal SegmentedLog Log { get; private set; }

    internal string Terms => string.Join(
        ' ', Indexes().Select(index => $"{index}:{Log.Read(index).Term}"));

    internal static LogRecord Entry(long index, long term, string? text = null) => new(
        index, term, EntryKind.Command, Encoding.UTF8.GetBytes(text ?? $"{index}/{term}"));

    internal static string Segment(uint id) => SegmentFiles.PathOf(Directory, id);

    internal string Text(long index) => Encoding.UTF8.GetString(Log.Read(index).Payload.Span);

    // One batch each.
    internal async Task AppendAsync(long term, int count, int payloadBytes = 20)
    {
        for (int i = 0; i < count; i++)
        {
            byte[] payload = new byte[payloadBytes];
            Array.Fill(payload, (byte)'a');
            await Log.WaitDurableAsync(Log.Append(term, EntryKind.Command, payload));
        }
    }

    // Closes and opens again on the same disk, or on another.
    internal void Reopen(long baseIndex = 0, long baseTerm = 0, SimulatedDisk? disk = null)
    {
        Log.Dispose();
        Disk = disk ?? Disk;
        Log = SegmentedLog.Open(LogModel.OptionsOn(Disk), baseIndex, baseTerm);
    }

    // Between two batches, on the thread that writes.
    internal Task OnWriterAsync(Action body) => OnWriterAsync(Log, body);

    internal static Task OnWriterAsync(SegmentedLog log, Action body)
    {
        return RunAsync().WaitAsync(TestCluster.Limit);

        async Task RunAsync()
        {
            await log.OnWriter();
            try
            {
                body();
            }
            finally
            {
                // The test goes on elsewhere: it closes the log, which waits for the writer.
                await Task.Yield();
            }
        }
    }

    // Becomes durable without anybody waiting for it.
    internal static async Task WrittenAsync(SegmentedLog log, long index)
    {
        var limit = TestCluster.Limit;
        while (log.DurableIndex < index)
        {
            limit.ThrowIfCancellationRequested();
            await OnWriterAsync(log, static () => { });
        }

        Assert.Equal(index, log.DurableIndex);
    }

    // Stays the last that is durable, however often the writer looks for work.
    internal static async Task NotWrittenAfterAsync(SegmentedLog log, long index)
    {
        for (int i = 0; i < 10; i++)
        {
            await OnWriterAsync(log, () => Assert.Equal(index, log.DurableIndex));
        }
    }

    public void Dispose() => Log.Dispose();

    private IEnumerable<long> Indexes()
    {
        for (long index = Log.FirstIndex; index <= Log.LastIndex; index++)
        {
            yield return index;
        }
    }
}
