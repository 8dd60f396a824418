// What the log costs above the disk: a batch of 100 entries of 128 bytes appended and durable,
// against one write and one fdatasync of as many bytes. Taken in turns, so that a noisy disk is
// equally noisy to both.
using System.Diagnostics;
using PgRaft.Consensus.Storage;

namespace PgRaft.Probes;

internal static class LogProbe
{
    private const int Entries = 100;
    private const int EntryBytes = 128;

    public static void Run(string directory, int rounds, string rawFile, string logFile)
    {
        using var raw = new RawFile(directory);
        using SegmentedLog log = SegmentedLog.Open(
            new LogOptions { Directory = Path.Combine(directory, "log") }, 0, 0);
        byte[] payload = RawFile.RandomBytes(EntryBytes);
        byte[] batch = RawFile.RandomBytes(Entries * RecordHeader.SizeOf(EntryBytes));
        var rawTimes = new Samples();
        var logTimes = new Samples();
        for (int i = 0; i < rounds; i++)
        {
            rawTimes.Time(() => raw.Append(batch));
            AppendBatchAsync(log, payload, logTimes).GetAwaiter().GetResult();
        }

        rawTimes.AppendTo(rawFile);
        logTimes.AppendTo(logFile);
    }

    // On the log's own thread, on which a follower takes its leader's entries, and answers it.
    private static async Task AppendBatchAsync(SegmentedLog log, byte[] payload, Samples times)
    {
        await log.OnWriter();
        long start = Stopwatch.GetTimestamp();
        var records = new LogRecord[Entries];
        long next = log.LastIndex + 1;
        for (int i = 0; i < Entries; i++)
        {
            records[i] = new LogRecord(next + i, 1, EntryKind.Command, payload);
        }

        log.AppendRange(records);
        await log.WaitDurableAsync(log.LastIndex, continueOnWriter: true).ConfigureAwait(false);
        times.Add(start);
    }
}
