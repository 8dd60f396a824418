// Metrics of the process against what is provoked in it: collections, memory, threads, processor
// time. Nothing else runs in the process meanwhile.
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

using PgRaft.Server.Tests.Fakes;
using PgRaft.Server.Tests.Http;

using Xunit;

namespace PgRaft.Server.Tests.Metrics;

[CollectionDefinition(nameof(ProcessMetricTests), DisableParallelization = true)]
[Collection(nameof(ProcessMetricTests))]
public class ProcessMetricTests
{
    private const int MegaByte = 1_000_000;
    private const int Large = 256 * MegaByte;
    private const int Elsewhere = 64 * MegaByte;

    [Fact]
    [ValuesOf(
        "pgraft_runtime_gc_collections_total", "pgraft_runtime_gc_pause_seconds_total")]
    public async Task Collections_are_counted_by_generation()
    {
        await using var host = await HttpHost.StartAsync();
        int[] provoked = [9, 3, 1];
        for (int generation = 0; generation < provoked.Length; generation++)
        {
            for (int i = 0; i < provoked[generation]; i++)
                GC.Collect(generation);
        }

        var countsBefore = Counts();
        double pauseBefore = GC.GetTotalPauseDuration().TotalSeconds;
        var scraped = await Scrape.OfAsync(host);
        var countsAfter = Counts();
        double pauseAfter = GC.GetTotalPauseDuration().TotalSeconds;

        Assert.True(countsBefore[0] > countsBefore[1] && countsBefore[1] > countsBefore[2]);
        for (int generation = 0; generation < provoked.Length; generation++)
        {
            string sample = string.Create(
                CultureInfo.InvariantCulture,
                $"pgraft_runtime_gc_collections_total{{generation=\"{generation}\"}}");
            Assert.InRange(scraped[sample], countsBefore[generation], countsAfter[generation]);
        }

        Assert.True(pauseBefore > 0);
        Assert.InRange(
            scraped["pgraft_runtime_gc_pause_seconds_total"], pauseBefore, pauseAfter);
    }

    [Fact]
    [ValuesOf("pgraft_runtime_managed_bytes")]
    public async Task Memory_that_is_taken_is_in_use()
    {
        await using var host = await HttpHost.StartAsync();
        double before = (await Scrape.OfAsync(host))["pgraft_runtime_managed_bytes"];

        var taken = new byte[Large];
        double after = (await Scrape.OfAsync(host))["pgraft_runtime_managed_bytes"];
        GC.KeepAlive(taken);

        Assert.InRange(after - before, Large - Elsewhere, Large + Elsewhere);
    }

    [Fact]
    [ValuesOf("process_resident_memory_bytes")]
    public async Task Resident_memory_is_what_the_kernel_says()
    {
        await using var host = await HttpHost.StartAsync();
        double before = (await Scrape.OfAsync(host))["process_resident_memory_bytes"];
        nint memory = Marshal.AllocHGlobal(Large);
        try
        {
            for (int at = 0; at < Large; at += Environment.SystemPageSize)
                Marshal.WriteByte(memory, at, 1);
            double after = (await Scrape.OfAsync(host))["process_resident_memory_bytes"];
            Assert.InRange(after, ResidentBytes() - Elsewhere, ResidentBytes() + Elsewhere);
            Assert.InRange(after - before, Large - Elsewhere, Large + Elsewhere);
        }
        finally
        {
            Marshal.FreeHGlobal(memory);
        }
    }

    [Fact]
    [ValuesOf("process_cpu_seconds_total")]
    public async Task Processor_time_is_what_the_kernel_says()
    {
        const double tick = 0.02;
        const double burnt = 0.3;
        await using var host = await HttpHost.StartAsync();
        double first = (await Scrape.OfAsync(host))["process_cpu_seconds_total"];
        double began = CpuSeconds();
        SpinWait.SpinUntil(() => CpuSeconds() > began + burnt);

        double before = CpuSeconds();
        double second = (await Scrape.OfAsync(host))["process_cpu_seconds_total"];

        Assert.InRange(second, before - tick, CpuSeconds() + tick);
        Assert.True(second - first > burnt - tick, $"{first} to {second}");
    }

    [Fact]
    [ValuesOf("pgraft_runtime_pool_threads")]
    public async Task Threads_that_work_are_in_the_pool()
    {
        const int blocked = 24;
        await using var host = await HttpHost.StartAsync();
        ThreadPool.GetMinThreads(out int workers, out int ports);
        var release = new ManualResetEventSlim();
        var started = new CountdownEvent(blocked);
        try
        {
            ThreadPool.SetMinThreads(Math.Max(workers, 2 * blocked), ports);
            for (int i = 0; i < blocked; i++)
            {
                ThreadPool.QueueUserWorkItem(_ =>
                {
                    started.Signal();
                    release.Wait();
                });
            }

            await Eventually.TrueAsync(() => started.IsSet, "all of them work");
            int before = ThreadPool.ThreadCount;
            double shown = (await Scrape.OfAsync(host))["pgraft_runtime_pool_threads"];
            int after = ThreadPool.ThreadCount;
            Assert.InRange(
                shown, Math.Max(blocked, Math.Min(before, after) - 2),
                Math.Max(before, after) + 2);
        }
        finally
        {
            release.Set();
            ThreadPool.SetMinThreads(workers, ports);
        }
    }

    private static int[] Counts() =>
        [.. Enumerable.Range(0, GC.MaxGeneration + 1).Select(GC.CollectionCount)];

    private static double CpuSeconds()
    {
        using var process = Process.GetCurrentProcess();
        return process.TotalProcessorTime.TotalSeconds;
    }

    private static double ResidentBytes() => double.Parse(
        File.ReadAllText("/proc/self/statm").Split(' ')[1], CultureInfo.InvariantCulture)
        * Environment.SystemPageSize;
}
