// The rules of docs/hosting.md that show only in a running server: where the core is loaded, which
// signals its threads take, how starts and stops are spaced and bounded, and that nothing the core
// says on its way out is lost.

using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class HostRulesTests : ServerTest
{
    private const string Core = "pgraft_core.so";

    private static readonly TimeSpan RestartTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstHold = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    [Fact]
    public async Task The_core_is_loaded_in_the_worker_alone()
    {
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var server = cluster[1];
        await using var connection = await server.OpenAsync();
        Assert.True(await connection.ScalarAsync<bool>("SELECT pgraft_kv_put('k', 'v')"));
        Assert.True(await connection.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        var backend = await connection.ScalarAsync<int>("SELECT pg_backend_pid()");
        int[] others = [server.Postmaster, .. ServerProcesses.ChildrenOf(server.Postmaster)
            .Where(pid => pid != server.WorkerPid)];

        Assert.Contains(backend, others);
        Assert.Contains("pgraft.so", Mapped(backend), StringComparison.Ordinal);
        Assert.Contains(Core, Mapped(server.WorkerPid), StringComparison.Ordinal);
        Assert.All(
            others, pid => Assert.DoesNotContain(Core, Mapped(pid), StringComparison.Ordinal));
    }

    // The preloaded library aborts at its end where the core is, as one may that threads still use.
    [Fact]
    public async Task A_worker_leaves_without_the_destructors_of_its_libraries()
    {
        var preload = await Preload.CreateAsync();
        var server = (await NewClusterAsync(
            1, Founding.AddNode, s => s.BinDirectory = preload.BinDirectory))[1];
        await using var survivor = await server.OpenAsync();
        var started = await survivor.ServerStartAsync();
        var worker = server.WorkerPid;
        Assert.True(await Preload.IsInAsync(worker));

        await Command.RunAsync("kill", "-TERM", $"{worker}");
        await Poll.UntilAsync("the worker has ended", () => server.WorkerPid != worker);
        await server.WaitForStateAsync("RUNNING", Patience);

        Assert.Equal(started, await survivor.ServerStartAsync());
    }

    // HUP, INT, QUIT, USR1, USR2, PIPE, ALRM, TERM, CHLD, URG are PostgreSQL's; the runtime needs
    // FPE, SEGV and the first real-time signal.
    [Fact]
    public async Task Threads_of_the_core_leave_PostgreSQLs_signals_alone_and_take_their_own()
    {
        int[] postgres = [1, 2, 3, 10, 12, 13, 14, 15, 17, 23];
        int[] runtime = [8, 11, 34];
        var cluster = await NewClusterAsync(1, Founding.AddNode);
        var worker = cluster[1].WorkerPid;
        var threads = Directory.GetDirectories($"/proc/{worker}/task")
            .Where(path => Path.GetFileName(path) != $"{worker}").ToArray();

        Assert.NotEmpty(threads);
        foreach (var thread in threads)
        {
            var blocked = BlockedSignals(thread);
            Assert.All(postgres, s => Assert.True(IsIn(blocked, s), $"{s} open in {thread}"));
            Assert.All(runtime, s => Assert.False(IsIn(blocked, s), $"{s} blocked in {thread}"));
        }

        // URG wakes a latch through a descriptor, and is blocked by PostgreSQL itself.
        var own = BlockedSignals($"/proc/{worker}/task/{worker}");
        Assert.All(
            postgres.Except([23]),
            s => Assert.False(IsIn(own, s), $"{s} blocked in the main thread"));
    }

    [Fact]
    public async Task Hooks_of_other_extensions_are_called()
    {
        var probe = Path.Combine(await TestRun.NewDirectoryAsync("probe"), "hook_probe.so");
        var headers = await Command.RunAsync(
            Environment.GetEnvironmentVariable("PG_CONFIG") ?? "pg_config", "--includedir-server");
        await Command.RunAsync(
            "gcc", "-shared", "-fPIC", "-I", headers.Trim(), "-o", probe,
            Path.Combine(TestRun.Top, "tests", "abi", "hook_probe.c"));
        var server = await NewServerAsync();
        server.Settings["shared_preload_libraries"] = $"'{probe},pgraft'";

        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");

        Assert.Contains("hook probe: request", server.Log(), StringComparison.Ordinal);
        Assert.Contains("hook probe: startup", server.Log(), StringComparison.Ordinal);
        await server.WaitForStateAsync("WAITING");
        Assert.True(await server.ScalarAsync<bool>("SELECT pgraft_init()"));
    }

    [Fact]
    public async Task Failed_starts_are_spaced_out_and_a_reload_tries_at_once()
    {
        var bin = await OtherCore.MakeAsync(core => Task.CompletedTask);
        var server = await NewServerAsync(binDirectory: bin);
        await server.StartAsync();

        // The second start comes with the worker, the third is held, and so would be the fourth.
        var failures = await FailuresAsync(server, 3);
        Assert.InRange(failures[1] - failures[0], RestartTime / 2, RestartTime + Slack);
        Assert.InRange(
            failures[2] - failures[1],
            FirstHold + (RestartTime / 2),
            FirstHold + RestartTime + Slack);

        await Poll.UntilAsync("the fourth worker waits", () => server.WorkerPid != 0);
        await server.ReloadAsync();
        failures = await FailuresAsync(server, 4);
        Assert.InRange(failures[3] - failures[2], TimeSpan.Zero, RestartTime + Slack);

        // A reload while there is no worker counts for the next one.
        Assert.Equal(0, server.WorkerPid);
        await server.ReloadAsync();
        failures = await FailuresAsync(server, 5);
        Assert.InRange(failures[4] - failures[3], TimeSpan.Zero, RestartTime + Slack);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task The_last_words_of_a_core_are_in_the_log(bool fails)
    {
        var server = await HostileServerAsync();

        if (fails)
        {
            await server.PutAsync("fail", "");
            await server.WaitForLogAsync("the cluster worker failed: the log cannot be written");
        }
        else
        {
            await server.StopAsync();
        }

        Assert.Contains("pgraft: hostile: last words", server.Log(), StringComparison.Ordinal);
    }

    // What the main thread makes of them, by level and text: see babble[] in hostile_core.c.
    [Fact]
    public async Task Records_of_every_kind_are_one_line_each_and_no_error_ends_the_worker()
    {
        var server = await HostileServerAsync();
        var worker = server.WorkerPid;

        await server.PutAsync("babble", "");

        await server.WaitForLogAsync("pgraft: \\[10\\]");
        Assert.Equal(
            [
                "LOG:  pgraft: [111] hostile: information",
                "LOG:  pgraft: hostile: no event",
                "LOG:  pgraft: hostile: less than an event",
                "WARNING:  pgraft: [2147483647] hostile: a warning",
                "ERROR:  pgraft: [2015] hostile: an error",
                "LOG:  pgraft: [302] debug: hostile: details",
                "LOG:  pgraft: [7] hos tile: %s%n",
                "LOG:  pgraft: [8] hostile: one LOG:  pgraft: [9] two  [2J  three",
                "LOG:  pgraft: [8] hostile: a?b?(c???d€e???",
                $"LOG:  pgraft: [10] {new string('c', 63)}: {new string('t', 1023)}",
            ],
            server.Log().Split('\n')
                .Where(line => line.Contains($"[{worker}]", StringComparison.Ordinal))
                .Select(line => line[(line.IndexOf("worker ", StringComparison.Ordinal) + 7)..]));
        Assert.Equal(worker, server.WorkerPid);
        Assert.Equal("RUNNING", await server.WorkerStateAsync());
    }

    [Fact]
    public async Task A_core_that_does_not_stop_is_left_after_five_seconds()
    {
        var server = await HostileServerAsync();
        await server.PutAsync("hang", "");

        var clock = Stopwatch.StartNew();
        await server.StopAsync();

        Assert.InRange(clock.Elapsed, StopLimit, StopLimit + Slack);
        Assert.Contains(
            "the core did not stop within 5000 ms", server.Log(), StringComparison.Ordinal);
    }

    // tests/abi/hostile_core.c
    private async Task<TestServer> HostileServerAsync()
    {
        var bin = await OtherCore.FromSourceAsync("hostile_core.c");
        var server = await NewServerAsync(binDirectory: bin);
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        await server.WaitForStateAsync("RUNNING");
        return server;
    }

    // When the worker failed, by the log's own times.
    private static async Task<TimeSpan[]> FailuresAsync(TestServer server, int count)
    {
        var found = await Poll.UntilAsync(
            $"{count} failed starts",
            () => Task.FromResult(Regex.Matches(
                server.Log(),
                @"^\S+ (\S+) .*FATAL: .*the cluster worker failed", RegexOptions.Multiline)),
            failures => failures.Count >= count,
            Patience);
        return [.. found.Select(
            f => TimeSpan.Parse(f.Groups[1].Value, CultureInfo.InvariantCulture))];
    }

    private static string Mapped(int pid) => File.ReadAllText($"/proc/{pid}/maps");

    private static ulong BlockedSignals(string task)
    {
        var line = File.ReadLines($"{task}/status")
            .First(l => l.StartsWith("SigBlk:", StringComparison.Ordinal));
        return Convert.ToUInt64(line.Split('\t')[1], 16);
    }

    private static bool IsIn(ulong signals, int signal) => (signals >> (signal - 1) & 1) != 0;
}
