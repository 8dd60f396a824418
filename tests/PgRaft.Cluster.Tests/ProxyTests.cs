// Connections that follow the leader, by the examples in docs/monitoring: HAProxy and pgbouncer
// from Debian, and libpq.
//
// Threading: one test at a time, each with a cluster of its own. Failure: as the test's own.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class ProxyTests : ServerTest, IAsyncLifetime
{
    private readonly Dictionary<int, int> _ports = [];
    private readonly int _primary = Ports.Next();
    private readonly int _followers = Ports.Next();
    private string _directory = "";
    private TestCluster _cluster = null!;

    public async ValueTask InitializeAsync()
    {
        _directory = await TestRun.NewDirectoryAsync("proxy");
        _cluster = await NewClusterAsync(
            3, Founding.InitialCluster, server => _ports[server.NodeId] = HttpPort.Open(server));
    }

    [Fact]
    public async Task Haproxy_follows_the_leader_over_a_failover()
    {
        var first = await _cluster.LeaderAsync();
        using var haproxy = await StartHaproxyAsync();

        await NodeBehindAsync(_primary, id => id == first.NodeId);
        await NodeBehindAsync(_followers, id => id != first.NodeId);
        await first.KillAsync();
        var second = await _cluster.LeaderAsync();
        await NodeBehindAsync(_primary, id => id == second.NodeId);
    }

    // The old leader lives: only HAProxy can end the pool's connections to it.
    [Fact]
    public async Task Pgbouncer_behind_haproxy_leaves_a_leader_that_hands_over()
    {
        var pool = Ports.Next();
        var first = await _cluster.LeaderAsync();
        using var haproxy = await StartHaproxyAsync();
        using var pgbouncer = await StartPgbouncerAsync(pool);

        await NodeBehindAsync(pool, id => id == first.NodeId);
        var second = _cluster.Servers.First(s => s != first);
        await Poll.UntilAsync(
            "leadership was handed over",
            async () =>
            {
                var leader = await _cluster.LeaderAsync();
                await leader.ExecuteAsync(
                    $"SELECT pgraft_transfer_leadership({Number(second.NodeId)})");
                return (await _cluster.LeaderAsync()).NodeId == second.NodeId;
            });
        await NodeBehindAsync(pool, id => id == second.NodeId);
        Assert.True(await first.ScalarAsync<bool>("SELECT NOT pgraft_is_leader()"));
    }

    // The first proxy is down, as it may be together with the machine that it is on.
    [Fact]
    public async Task Libpq_finds_the_leader_behind_the_proxy_that_is_up()
    {
        var text = await File.ReadAllTextAsync(
            Path.Combine(TestRun.Top, "docs/monitoring.md"),
            TestContext.Current.CancellationToken);
        var example = text.Split('\n').Single(
            line => line.StartsWith("psql \"host=10.0.1.10,", StringComparison.Ordinal));
        var words = example.Split('"')[1]
            .Replace("10.0.1.10,10.0.1.20", "127.0.0.1,127.0.0.1", StringComparison.Ordinal)
            .Replace(
                "port=5000", $"port={Number(Ports.Next())},{Number(_primary)}",
                StringComparison.Ordinal)
            .Replace("dbname=app", "dbname=postgres", StringComparison.Ordinal)
            + $" user={TestRun.SuperUser}";
        var leader = await _cluster.LeaderAsync();
        using var haproxy = await StartHaproxyAsync();
        await NodeBehindAsync(_primary, id => id == leader.NodeId);

        var shown = await Command.RunPostgresAsync(
            "psql", "-X", "-At", "-c", "SELECT current_setting('pgraft.node_id')", words);

        Assert.Equal(Number(leader.NodeId), shown.Trim());
    }

    private static string Number(long number)
    {
        return number.ToString(CultureInfo.InvariantCulture);
    }

    // Through the proxy; while it has no server yet a connection is closed at once.
    private static Task NodeBehindAsync(int port, Predicate<int> isRight)
    {
        return Poll.UntilAsync(
            $"the right node is behind port {Number(port)}",
            async () =>
            {
                try
                {
                    return isRight(await NodeAtAsync(port));
                }
                catch (Npgsql.NpgsqlException)
                {
                    return false;
                }
            });
    }

    private static async Task<int> NodeAtAsync(int port)
    {
        await using var connection = await TestServer.OpenAsync(
            $"Host=127.0.0.1;Port={Number(port)};Username={TestRun.SuperUser};"
            + "Database=postgres;Pooling=false;Timeout=5;SSL Mode=Disable");
        var id = await connection.ScalarAsync<string>("SELECT current_setting('pgraft.node_id')");
        return int.Parse(id, CultureInfo.InvariantCulture);
    }

    private async Task<Background> StartHaproxyAsync()
    {
        var config = await ExampleAsync("haproxy.cfg", text =>
        {
            foreach (var server in _cluster.Servers)
            {
                text = text.Replace(
                    $"10.0.1.1{Number(server.NodeId)}:5432 check port 9100",
                    $"127.0.0.1:{Number(server.Port)} check port {Number(_ports[server.NodeId])}",
                    StringComparison.Ordinal);
            }

            return text
                .Replace("*:5000", $"127.0.0.1:{Number(_primary)}", StringComparison.Ordinal)
                .Replace("*:5001", $"127.0.0.1:{Number(_followers)}", StringComparison.Ordinal);
        });
        var haproxy = Background.Start("/usr/sbin/haproxy", "-db", "-f", config);

        // Before its first checks it takes every member for the leader, as the page says.
        var leader = await _cluster.LeaderAsync();
        await Poll.UntilAsync(
            "HAProxy knows who does not lead",
            () => _cluster.Servers.Where(s => s != leader).All(s => haproxy.Output.Contains(
                $"primary/node{Number(s.NodeId)} is DOWN", StringComparison.Ordinal)));
        return haproxy;
    }

    private async Task<Background> StartPgbouncerAsync(int port)
    {
        var users = Path.Combine(_directory, "userlist.txt");
        await File.WriteAllTextAsync(
            users, $"\"{TestRun.SuperUser}\" \"\"\n", TestContext.Current.CancellationToken);
        var config = await ExampleAsync("pgbouncer.ini", text => text
            .Replace(
                "host=10.0.1.10 port=5000", $"host=127.0.0.1 port={Number(_primary)}",
                StringComparison.Ordinal)
            .Replace("listen_addr = *", "listen_addr = 127.0.0.1", StringComparison.Ordinal)
            .Replace("6432", Number(port), StringComparison.Ordinal)
            .Replace("scram-sha-256", "trust", StringComparison.Ordinal)
            .Replace("/etc/pgbouncer/userlist.txt", users, StringComparison.Ordinal));

        // It refuses to run as root.
        string[] user = TestRun.IsRoot ? ["-u", TestRun.ServerUser] : [];
        return Background.Start("/usr/sbin/pgbouncer", [.. user, config]);
    }

    // An example of docs/monitoring, with the addresses of this test.
    private async Task<string> ExampleAsync(string name, Func<string, string> adapt)
    {
        var text = await File.ReadAllTextAsync(
            Path.Combine(TestRun.Top, "docs/monitoring", name),
            TestContext.Current.CancellationToken);
        var path = Path.Combine(_directory, name);
        await File.WriteAllTextAsync(path, adapt(text), TestContext.Current.CancellationToken);
        return path;
    }
}
