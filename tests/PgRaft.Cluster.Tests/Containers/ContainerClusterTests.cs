// The basic cluster test in containers built from docker/Dockerfile: founding by initial_cluster,
// writes through each member, failover. Skipped, with the reason, where Docker does not answer.

using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Networks;
using Npgsql;
using Testcontainers.PostgreSql;

namespace PgRaft.Cluster.Tests.Containers;

public sealed class ContainerClusterTests : IAsyncDisposable
{
    private const string Founders = "1=pgraft1:7001,2=pgraft2:7001,3=pgraft3:7001";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly List<PostgreSqlContainer> _members = [];
    private INetwork? _network;

    [Fact]
    [Trait("Category", "container")]
    public async Task Three_containers_elect_replicate_and_fail_over()
    {
        await SkipWithoutDockerAsync();
        await StartMembersAsync(await BuildImageAsync());

        foreach (var writer in _members)
        {
            Assert.True(await ScalarAsync<bool>(
                writer, "SELECT pgraft_kv_put('from', pgraft_get_version())"));
        }

        var leader = await LeaderAsync(_members);
        Assert.True(await ScalarAsync<bool>(
            _members[0], "SELECT pgraft_kv_put('before', 'the stop')"));
        await _members[leader - 1].StopAsync(TestContext.Current.CancellationToken);

        var survivors = _members.Where((_, i) => i != leader - 1).ToArray();
        await Poll.UntilAsync(
            "a write without the old leader",
            () => ScalarAsync<bool>(survivors[0], "SELECT pgraft_kv_put('after', 'the stop')"),
            Patience);
        Assert.NotEqual(leader, await LeaderAsync(survivors));
        Assert.Equal(
            "the stop", await ScalarAsync<string>(survivors[1], "SELECT pgraft_kv_get('before')"));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var member in _members)
        {
            await member.DisposeAsync();
        }

        if (_network is not null)
        {
            await _network.DeleteAsync();
        }
    }

    private static async Task SkipWithoutDockerAsync()
    {
        CommandResult answer;
        try
        {
            answer = await Command.TryRunAsync(
                "docker", "version", "--format", "{{.Server.Version}}");
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            answer = new CommandResult(1, e.Message);
        }

        Assert.SkipUnless(answer.Status == 0, $"Docker does not answer: {answer.Output.Trim()}");
    }

    private static async Task<string> BuildImageAsync()
    {
        var image = new ImageFromDockerfileBuilder()
            .WithDockerfileDirectory(TestRun.Top)
            .WithDockerfile("docker/Dockerfile")
            .WithName("pgraft-test:latest")
            .Build();
        await image.CreateAsync(TestContext.Current.CancellationToken);
        return image.FullName;
    }

    private async Task StartMembersAsync(string image)
    {
        _network = new NetworkBuilder().Build();
        for (var id = 1; id <= 3; id++)
        {
            _members.Add(new PostgreSqlBuilder(image)
                .WithNetwork(_network)
                .WithNetworkAliases($"pgraft{id}")
                .WithEnvironment("PGRAFT_CLUSTER_ID", "containers")
                .WithEnvironment("PGRAFT_NODE_ID", $"{id}")
                .WithEnvironment("PGRAFT_ADDRESS", $"pgraft{id}")
                .WithEnvironment("PGRAFT_LISTEN_ADDRESS", "*")
                .WithEnvironment("PGRAFT_INITIAL_CLUSTER", Founders)
                .Build());
        }

        var token = TestContext.Current.CancellationToken;
        await Task.WhenAll(_members.Select(m => m.StartAsync(token)));
        foreach (var member in _members)
        {
            await ScalarAsync<object>(member, "CREATE EXTENSION pgraft");
        }

        await LeaderAsync(_members);
    }

    private static async Task<int> LeaderAsync(IReadOnlyCollection<PostgreSqlContainer> members)
    {
        return (int)await Poll.UntilAsync(
            "a leader all members know",
            async () =>
            {
                var leaders = await Task.WhenAll(
                    members.Select(m => ScalarAsync<long>(m, "SELECT pgraft_get_leader()")));
                return leaders.Distinct().Count() == 1 ? leaders[0] : 0;
            },
            leader => leader > 0,
            Patience);
    }

    private static async Task<T> ScalarAsync<T>(PostgreSqlContainer member, string sql)
    {
        await using var connection = new NpgsqlConnection(member.GetConnectionString());
        await connection.OpenAsync();
        return await connection.ScalarAsync<T>(sql);
    }
}
