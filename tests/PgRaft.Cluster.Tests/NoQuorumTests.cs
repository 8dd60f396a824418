// One member of three left: nothing may be promised, everything must be said clearly, and a client
// that gives up gets its connection back at once. Two members come back: all goes on.

using System.Diagnostics;
using System.Globalization;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class NoQuorumTests : ServerTest, IClassFixture<NoQuorumTests.Remnant>
{
    private const string ShortTimeout = "SET pgraft.request_timeout = '500ms'";

    private static readonly TimeSpan AtOnce = TimeSpan.FromSeconds(1);

    private readonly TestCluster _cluster;
    private readonly TestServer _server;

    public NoQuorumTests(Remnant remnant)
    {
        ArgumentNullException.ThrowIfNull(remnant);
        _cluster = remnant.Cluster;
        _server = remnant.Server;
        Watch(_cluster);
    }

    [Fact]
    public async Task Writes_report_that_there_is_no_quorum()
    {
        var error = await _server.ErrorOfAsync(
            $"{ShortTimeout}; SELECT pgraft_kv_put('k', 'v')");

        // A node that still takes itself for the leader has put the write into its own log, so that
        // its outcome is unknown; one that does not knows that nothing was done.
        Assert.Contains(error.SqlState, (string[])["57P03", "40003"]);
        Assert.StartsWith("pgraft: ", error.MessageText, StringComparison.Ordinal);
        Assert.Contains(
            error.SqlState == "57P03" ? "1 of 3 members answer" : "outcome",
            error.SqlState == "57P03" ? error.Detail : error.MessageText,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Linearizable_reads_are_refused_and_local_reads_work()
    {
        var error = await _server.ErrorOfAsync(
            $"{ShortTimeout}; SELECT pgraft_kv_get('kept')");

        Assert.Equal("57P03", error.SqlState);
        Assert.Equal("written", await _server.GetAsync("kept", "local"));
    }

    [Fact]
    public async Task A_read_barrier_is_refused()
    {
        var error = await _server.ErrorOfAsync(
            $"{ShortTimeout}; SELECT pgraft_log_sync_with_leader()");

        Assert.Equal("57P03", error.SqlState);
    }

    // Once the old leader has given up nothing is put into its log any more: all is certain.
    [Theory]
    [InlineData("pgraft_kv_put('k', 'v')", "57P03", "the cluster has no leader")]
    [InlineData("pgraft_kv_delete('kept')", "57P03", "the cluster has no leader")]
    [InlineData("pgraft_kv_cas('k', 0, 'v')", "57P03", "the cluster has no leader")]
    [InlineData("pgraft_kv_exists('kept')", "57P03", "the cluster has no leader")]
    [InlineData("pgraft_kv_list_keys()", "57P03", "the cluster has no leader")]
    [InlineData("pgraft_replicate_entry('x')", "57P03", "the cluster has no leader")]
    [InlineData("pgraft_log_append(pgraft_get_term(), 'x')", "57P03", "the cluster has no leader")]
    [InlineData("pgraft_test()", "57P03", "the cluster has no leader")]
    [InlineData(
        "pgraft_add_node(9, '127.0.0.1', 7009)", "57P03",
        "cannot add node - the cluster has no leader")]
    [InlineData(
        "pgraft_remove_node(2)", "57P03", "cannot remove node - the cluster has no leader")]
    [InlineData(
        "pgraft_transfer_leadership()", "57P03",
        "cannot transfer leadership - the cluster has no leader")]
    public async Task What_needs_a_leader_is_refused_and_says_who_answers(
        string call, string sqlState, string message)
    {
        await Poll.UntilAsync(
            "the old leader steps down", _server.RoleAsync, role => role != "leader");
        await Poll.UntilAsync("no leader is known", _server.LeaderAsync, leader => leader == 0);

        var error = await _server.ErrorOfAsync($"{ShortTimeout}; SELECT {call}");

        Assert.Equal((sqlState, $"pgraft: {message}"), (error.SqlState, error.MessageText));
        Assert.Matches("^No leader known for .* s; 1 of 3 members answer", error.Detail);
    }

    [Fact]
    public async Task No_leader_is_claimed()
    {
        await Poll.UntilAsync("no leader is known", _server.LeaderAsync, leader => leader == 0);
        Assert.False(await _server.ScalarAsync<bool>("SELECT pgraft_is_leader()"));
        await Poll.UntilAsync(
            "the old leader steps down", _server.RoleAsync, role => role != "leader");
        Assert.Equal("RUNNING", await _server.WorkerStateAsync());
    }

    [Theory]
    [InlineData("pgraft_add_node(9, '127.0.0.1', 7009)")]
    [InlineData("pgraft_update_node({0}, '127.0.0.1', 7009)")]
    public async Task Members_cannot_be_changed(string change)
    {
        var error = await _server.ErrorOfAsync(
            $"{ShortTimeout}; SELECT "
            + string.Format(CultureInfo.InvariantCulture, change, _server.NodeId));

        // A node that still takes itself for the leader finds that nobody confirms it.
        Assert.Equal("57P03", error.SqlState);
        Assert.Equal(3, await _server.ScalarAsync<long>("SELECT count(*) FROM pgraft.nodes"));
        Assert.DoesNotContain(
            9, await _server.ScalarAsync<int[]>("SELECT array_agg(node_id) FROM pgraft.nodes"));
    }

    [Fact]
    public async Task A_cancelled_write_returns_at_once_and_says_that_its_outcome_is_unknown()
    {
        await using var connection = await _server.OpenAsync();
        await connection.ExecuteAsync("SET pgraft.request_timeout = '60s'");
        var backend = await connection.ScalarAsync<int>("SELECT pg_backend_pid()");
        var write = Assert.ThrowsAsync<PostgresException>(
            () => connection.ExecuteAsync("SELECT pgraft_kv_put('cancelled', 'v')"));
        await Backends.WaitsForCoreAsync(_server, backend);

        var clock = Stopwatch.StartNew();
        Assert.True(await _server.ScalarAsync<bool>("SELECT pg_cancel_backend($1)", backend));
        var error = await write;

        Assert.True(clock.Elapsed < AtOnce, $"{clock.Elapsed}");
        Assert.Equal("57014", error.SqlState);
        Assert.Contains("unknown", error.Where, StringComparison.Ordinal);
        Assert.Equal(1, await connection.ScalarAsync<int>("SELECT 1"));
    }

    [Fact]
    public async Task A_statement_timeout_ends_a_write_in_time()
    {
        var clock = Stopwatch.StartNew();

        var error = await _server.ErrorOfAsync(
            "SET pgraft.request_timeout = '60s'; SET statement_timeout = '300ms'; "
            + "SELECT pgraft_kv_put('late', 'v')");

        Assert.True(clock.Elapsed < AtOnce, $"{clock.Elapsed}");
        Assert.Equal("57014", error.SqlState);
        Assert.Contains("unknown", error.Where, StringComparison.Ordinal);
    }

    /// <summary>A cluster of three of which one member is left running.</summary>
    public sealed class Remnant : IAsyncLifetime
    {
        private TestCluster? _cluster;

        public TestCluster Cluster =>
            _cluster ?? throw new InvalidOperationException("Not started.");

        public TestServer Server { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            _cluster = await TestCluster.StartAsync(3, Founding.InitialCluster);
            Server = await Cluster.LeaderAsync();
            Assert.True(await Server.PutAsync("kept", "written"));
            foreach (var server in Cluster.Servers.Where(s => s != Server))
            {
                await server.KillAsync();
            }

            await Poll.UntilAsync("the lease has ended", Server.LeaderAsync, leader => leader == 0);
            await Poll.UntilAsync(
                "the others are missed",
                () => Server.ScalarAsync<int?>("SELECT live_members FROM pgraft.health"),
                live => live == 1);
        }

        /// <summary>With the others back the cluster goes on.</summary>
        public async ValueTask DisposeAsync()
        {
            if (_cluster is null)
            {
                return;
            }

            try
            {
                foreach (var server in Cluster.Servers.Where(s => s.Postmaster == 0))
                {
                    await server.StartAsync();
                }

                await TestCluster.FirstWriteAsync(Server, "healed");
                Assert.Equal("written", await Server.GetAsync("kept"));
                await Cluster.AgreedStateAsync();
            }
            finally
            {
                await Cluster.DisposeAsync();
            }
        }
    }
}
