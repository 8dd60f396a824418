// Settings as an operator meets them: a wrong one stops the server with a message that names it,
// and the operations guide's production example is a valid configuration.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class SettingsTests : ServerTest
{
    public static TheoryData<string, string> WrongSettings => new()
    {
        { "pgraft.cluster_id", "''" },
        { "pgraft.cluster_id", "'with space'" },
        { "pgraft.cluster_id", $"'{new string('x', 65)}'" },
        { "pgraft.node_id", "0" },
        { "pgraft.node_id", "65536" },
        { "pgraft.node_id", "'one'" },
        { "pgraft.address", "''" },
        { "pgraft.address", "'two words'" },
        { "pgraft.address", "'10.0.1.11:7001'" },
        { "pgraft.address", "'0.0.0.0'" },
        { "pgraft.address", "'::'" },
        { "pgraft.address", "'*'" },
        { "pgraft.address", "'300.1.1.1'" },
        { "pgraft.address", "'10.0.1'" },
        { "pgraft.address", "'a:b'" },
        { "pgraft.address", "'-x'" },
        { "pgraft.address", "'.'" },
        { "pgraft.address", $"'{new string('h', 254)}'" },
        { "pgraft.listen_address", "'two words'" },
        { "pgraft.listen_address", "'127.0.0.1:7001'" },
        { "pgraft.port", "0" },
        { "pgraft.port", "65536" },
        { "pgraft.data_dir", "''" },
        { "pgraft.data_dir", $"'/tmp/{new string('d', 100)}'" },
        { "pgraft.initial_cluster", "'1=127.0.0.1'" },
        { "pgraft.initial_cluster", "'nonsense'" },
        { "pgraft.initial_cluster", "'1=0.0.0.0:7001'" },
        { "pgraft.initial_cluster", "'1=10.0.1:7001'" },
        { "pgraft.initial_cluster", "'1=127.0.0.1:7001,1=127.0.0.1:7002'" },
        { "pgraft.initial_cluster", "'2=127.0.0.1:7002,3=127.0.0.1:7003'" },
        { "pgraft.initial_cluster", "'0=127.0.0.1:7002,1=127.0.0.1:7003'" },
        { "pgraft.election_timeout", "99" },
        { "pgraft.election_timeout", "60001" },
        { "pgraft.election_timeout", "299" },
        { "pgraft.heartbeat_interval", "9" },
        { "pgraft.heartbeat_interval", "334" },
        { "pgraft.snapshot_interval", "99" },
        { "pgraft.max_log_entries", "-1" },
        { "pgraft.batch_size", "0" },
        { "pgraft.batch_size", "10001" },
        { "pgraft.max_batch_delay", "1001" },
        { "pgraft.compaction_threshold", "-1" },
        { "pgraft.request_timeout", "99" },
        { "pgraft.max_value_size", "0" },
        { "pgraft.max_value_size", "'17MB'" },
        { "pgraft.metrics_enabled", "'perhaps'" },
        { "pgraft.metrics_port", "0" },
        { "pgraft.metrics_address", "'two words'" },
        { "pgraft.metrics_address", "''" },
        { "pgraft.cluster_secret_file", "'/nowhere/secret'" },
        { "pgraft.cluster_secret_file", "'/etc/passwd'" },
        { "pgraft.cluster_secret_file", "'/'" },
        { "pgraft.tls_cert_file", "'/nowhere/cert'" },
        { "pgraft.tls_key_file", "'/nowhere/key'" },
        { "pgraft.tls_key_file", "'/etc/passwd'" },
        { "pgraft.tls_ca_file", "'/'" },
        { "pgraft.auth_enabled", "on" },
        { "pgraft.tls_enabled", "on" },
    };

    [Theory]
    [MemberData(nameof(WrongSettings))]
    public async Task A_wrong_setting_stops_the_start_and_is_named(string name, string value)
    {
        var server = await NewServerAsync();
        server.Settings[name] = value;

        var result = await server.TryStartAsync();

        Assert.NotEqual(0, result.Status);
        var pattern = name.Replace(".", "\\.", StringComparison.Ordinal);
        Assert.Matches($"FATAL: .*{pattern}", server.Log());
    }

    [Theory]
    [InlineData("localhost")]
    [InlineData("::1")]
    [InlineData("127.0.0.1")]
    public async Task What_the_server_accepts_as_an_address_the_core_accepts_too(string address)
    {
        var server = await NewServerAsync();
        server.Settings["pgraft.address"] = $"'{address}'";
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");

        await server.WaitForStateAsync("WAITING");

        Assert.True(await server.ScalarAsync<bool>("SELECT pgraft_init()"));
    }

    [Fact]
    public async Task A_short_election_timeout_is_warned_of()
    {
        var server = await NewServerAsync();
        server.Settings["pgraft.election_timeout"] = "500";

        await server.StartAsync();

        Assert.Matches("WARNING: .*pgraft\\.election_timeout", server.Log());
    }

    [Fact]
    public async Task A_misspelt_setting_is_reported()
    {
        var server = await NewServerAsync();
        server.Settings["pgraft.election_timeuot"] = "500";

        await server.StartAsync();

        Assert.Contains("pgraft.election_timeuot", server.Log(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Units_may_be_written_out()
    {
        var server = await NewServerAsync();
        server.Settings["pgraft.election_timeout"] = "'2s'";
        server.Settings["pgraft.max_value_size"] = "'1MB'";

        await server.StartAsync();

        Assert.Equal("2000|1024", Assert.Single(await server.RowsAsync(
            "SELECT (SELECT setting FROM pg_settings WHERE name = 'pgraft.election_timeout'), "
            + "(SELECT setting FROM pg_settings WHERE name = 'pgraft.max_value_size')")));
    }

    [Fact]
    public async Task The_production_example_starts()
    {
        var server = await NewServerAsync();
        foreach (var (name, value) in ProductionExample.Settings())
        {
            server.Settings[name] = value;
        }

        // What belongs to that machine, as a file and as an address, gets this one's.
        server.Settings["port"] = server.Port.ToString(CultureInfo.InvariantCulture);
        server.Settings["pgraft.address"] = "'127.0.0.1'";
        server.Settings["pgraft.port"] = server.RaftPort.ToString(CultureInfo.InvariantCulture);
        server.Settings["pgraft.data_dir"] = $"'{server.PgraftDirectory}'";
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");

        await server.WaitForStateAsync("WAITING");

        Assert.True(await server.ScalarAsync<bool>("SELECT pgraft_init()"));
        Assert.True(await server.PutAsync("production", "example"));
    }
}
