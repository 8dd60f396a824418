// Damage to a member's files: it refuses to start with file, offset and what to do, its server
// answers SQL, the cluster goes on; and the documented way to replace the member works. What a
// crash can leave (a torn tail) is not damage: it is cut off and fetched again.
//
// Threading: the tests share one cluster and run one after the other; each replaces a member.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class DamagedFileTests : ServerTest, IClassFixture<DamagedFileTests.Snapshotted>
{
    private const int TailBytes = 4096;

    private readonly TestCluster _cluster;

    public DamagedFileTests(Snapshotted shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    [Fact]
    public async Task A_flipped_bit_in_the_middle_of_the_log()
    {
        await RefusedAsync(server =>
        {
            var record = LogFiles.FirstRecord(server);
            LogFiles.Flip(record.Path, record.Offset + record.Bytes - 1);
            return At(record.Path, record.Offset);
        });
    }

    [Fact]
    public async Task A_flipped_bit_at_the_end_of_the_log()
    {
        await RefusedAsync(server =>
        {
            var record = LogFiles.LastRecord(server);
            LogFiles.Flip(record.Path, record.Offset + record.Bytes - 1);
            return At(record.Path, record.Offset);
        });
    }

    [Fact]
    public async Task A_log_that_was_cut_off()
    {
        await RefusedAsync(server =>
        {
            var record = LogFiles.LastRecord(server);
            LogFiles.Truncate(record.Path, record.Offset + LogFiles.SectorBytes);
            return At(record.Path, null);
        });
    }

    [Fact]
    public async Task A_flipped_bit_in_the_snapshot()
    {
        await RefusedAsync(server =>
        {
            var snapshot = SnapshotOf(server);
            LogFiles.Flip(snapshot, new FileInfo(snapshot).Length / 2);
            return At(snapshot, null);
        });
    }

    [Fact]
    public async Task A_snapshot_that_was_cut_off()
    {
        await RefusedAsync(server =>
        {
            var snapshot = SnapshotOf(server);
            LogFiles.Truncate(snapshot, new FileInfo(snapshot).Length / 2);
            return At(snapshot, null);
        });
    }

    [Theory]
    [InlineData("term", 9)]
    [InlineData("stamp", 30)]
    [InlineData("membership", 9)]
    public async Task A_flipped_bit_in_a_small_file(string name, int offset)
    {
        await RefusedAsync(
            server =>
            {
                var path = Path.Combine(server.PgraftDirectory, name);
                LogFiles.Flip(path, offset);
                return At(path, null);
            },
            name);
    }

    [Theory]
    [InlineData("term", 16)]
    [InlineData("term", 0)]
    [InlineData("stamp", 30)]
    [InlineData("stamp", 0)]
    [InlineData("membership", 20)]
    [InlineData("membership", 0)]
    public async Task A_small_file_that_was_cut_off(string name, int length)
    {
        await RefusedAsync(
            server =>
            {
                var path = Path.Combine(server.PgraftDirectory, name);
                LogFiles.Truncate(path, length);
                return At(path, null);
            },
            name);
    }

    [Fact]
    public async Task A_torn_tail_is_cut_off_and_fetched_again()
    {
        var server = await StoppedFollowerAsync();
        LogFiles.Tear(LogFiles.LastRecord(server));

        await server.StartAsync();

        await _cluster.LeaderAsync();
        await _cluster.AgreedStateAsync();
        Assert.Equal(Tail, await server.GetAsync("tail", "local"));
    }

    private static string Tail { get; } = new('t', TailBytes);

    private static string At(string path, long? offset)
    {
        var place = offset?.ToString(CultureInfo.InvariantCulture) ?? "[0-9]+";
        return $"file \"{path}\" is damaged at offset {place}[: ].*Remove this node";
    }

    private static string SnapshotOf(TestServer server)
    {
        return Directory.EnumerateFiles(server.PgraftDirectory, "*.snap").Order().Last();
    }

    // Not every member has each file: who founded the cluster was told of no membership.
    private async Task<TestServer> StoppedFollowerAsync(string file = "")
    {
        var leader = await _cluster.LeaderAsync();
        var server = _cluster.Running().First(
            s => s != leader && Path.Exists(Path.Combine(s.PgraftDirectory, file)));
        Assert.True(await leader.PutAsync("tail", Tail));
        await _cluster.AgreedStateAsync();
        await server.KillAsync();
        return server;
    }

    private async Task RefusedAsync(Func<TestServer, string> damage, string file = "")
    {
        var server = await StoppedFollowerAsync(file);
        var pattern = damage(server);

        await server.StartAsync();

        await server.WaitForStateAsync("ERROR");
        await server.WaitForLogAsync(pattern);
        Assert.Equal(1, await server.ScalarAsync<int>("SELECT 1"));
        var error = await server.ErrorOfAsync("SELECT pgraft_kv_put('k', 'v')");
        Assert.Equal("57P03", error.SqlState);
        Assert.Contains("is damaged", error.Detail + error.Hint, StringComparison.Ordinal);
        var leader = _cluster.Servers.First(s => s != server);
        await TestCluster.FirstWriteAsync(leader, "while damaged");

        await MemberReplacement.RunAsync(_cluster, server);
        Assert.Equal(Tail, await server.GetAsync("tail", "local"));
    }

    /// <summary>A cluster whose members have a snapshot and a log behind it.</summary>
    public sealed class Snapshotted : IAsyncLifetime
    {
        private const int Entries = 150;

        private TestCluster? _cluster;

        public TestCluster Cluster =>
            _cluster ?? throw new InvalidOperationException("Not started.");

        public async ValueTask InitializeAsync()
        {
            _cluster = await TestCluster.StartAsync(
                3, Founding.AddNode, s => s.Settings["pgraft.snapshot_interval"] = "100");
            var leader = await _cluster.LeaderAsync();
            await BulkLoad.PutAsync(leader, Entries, valueBytes: 1000);
            await Poll.UntilAsync(
                "a snapshot on every member",
                () => _cluster.Servers.All(s =>
                    Directory.EnumerateFiles(s.PgraftDirectory, "*.snap").Any()));
        }

        public async ValueTask DisposeAsync()
        {
            if (_cluster is not null)
            {
                await _cluster.DisposeAsync();
            }
        }
    }
}
