// Measures what the log costs above the disk: a batch of 100 entries of 128 bytes appended and
// synced, against one write and one fdatasync of as many bytes to a file of zeros, taken in turns
// in one run on one file system, so that a noisy disk is equally noisy to both.
//
//   dotnet run -c Release --project tests/bench/LogBench [DIRECTORY] [ROUNDS]
//
// Exit code 1 when the ratio of the medians is above the limit of 1.3.
using System.Diagnostics;
using System.Globalization;
using PgRaft.Consensus.Storage;

namespace PgRaft.LogBench;

internal static class Program
{
    private const int Entries = 100;
    private const int EntryBytes = 128;
    private const int WarmUpRounds = 100;
    private const int RawFileBytes = 16 * 1024 * 1024;
    private const double Limit = 1.3;

    private static int Main(string[] arguments)
    {
        string parent = arguments.Length > 0 ? arguments[0] : Path.GetTempPath();
        int rounds = arguments.Length > 1
            ? int.Parse(arguments[1], CultureInfo.InvariantCulture)
            : 2000;
        string directory = Path.Combine(parent, $"pgraft-log-bench-{Guid.NewGuid():N}");
        Directory.CreateDirectory(directory);
        try
        {
            return Run(directory, rounds);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static int Run(string directory, int rounds)
    {
        using IStorageFile raw = CreateRaw(Path.Combine(directory, "raw"));
        using SegmentedLog log = SegmentedLog.Open(
            new LogOptions { Directory = Path.Combine(directory, "log") }, 0, 0);
        byte[] payload = RandomBytes(EntryBytes);
        byte[] batch = RandomBytes(Entries * RecordHeader.SizeOf(EntryBytes));
        var rawTimes = new List<double>();
        var logTimes = new List<double>();
        for (int i = 0; i < WarmUpRounds + rounds; i++)
        {
            double rawTime = Time(() => AppendRaw(raw, batch, i));
            double logTime = Time(() => AppendBatch(log, payload));
            if (i >= WarmUpRounds)
            {
                rawTimes.Add(rawTime);
                logTimes.Add(logTime);
            }
        }

        Report("raw write + fdatasync", rawTimes);
        Report("log append + durable", logTimes);
        double ratio = Percentile(logTimes, 50) / Percentile(rawTimes, 50);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"ratio of the medians    {ratio:F2}  (limit {Limit})"));
        return ratio <= Limit ? 0 : 1;
    }

    private static IStorageFile CreateRaw(string path)
    {
        IStorageFile file = PhysicalIo.Instance.Create(path);
        file.Write(0, new byte[RawFileBytes]);
        file.Sync();
        return file;
    }

    private static void AppendRaw(IStorageFile file, byte[] batch, int round)
    {
        file.Write((long)round * batch.Length % (RawFileBytes - batch.Length), batch);
        file.Sync();
    }

    private static void AppendBatch(SegmentedLog log, byte[] payload)
    {
        var records = new LogRecord[Entries];
        long next = log.LastIndex + 1;
        for (int i = 0; i < Entries; i++)
        {
            records[i] = new LogRecord(next + i, 1, EntryKind.Command, payload);
        }

        log.AppendRange(records);
        log.WaitDurableAsync(log.LastIndex).AsTask().GetAwaiter().GetResult();
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    private static byte[] RandomBytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(1).NextBytes(bytes);
        return bytes;
    }

    private static void Report(string name, List<double> times) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{name,-22}  p50 {Percentile(times, 50):F0} us  p99 {Percentile(times, 99):F0} us"));

    private static double Percentile(List<double> times, int percent)
    {
        List<double> sorted = [.. times.Order()];
        return sorted[Math.Min(sorted.Count - 1, sorted.Count * percent / 100)];
    }
}
