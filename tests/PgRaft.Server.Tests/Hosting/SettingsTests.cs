using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Server.Hosting;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Hosting;

public class SettingsTests
{
    [Fact]
    public void A_founding_list_is_read_in_order()
    {
        var members = MemberSyntax.ParseInitialCluster(
            "1=a:7001, 2=[fd00::2]:7002,3=10.0.0.3:7003", 2);
        Assert.Equal(
            [
                new MemberAddress(1, "a", 7001),
                new MemberAddress(2, "fd00::2", 7002),
                new MemberAddress(3, "10.0.0.3", 7003),
            ],
            members);
    }

    [Theory]
    [InlineData("")]
    [InlineData("  ")]
    public void No_list_is_an_empty_one(string list) =>
        Assert.Empty(MemberSyntax.ParseInitialCluster(list, 1));

    [Theory]
    [InlineData("1")]
    [InlineData("1=a")]
    [InlineData("x=a:1")]
    [InlineData("1=a:b")]
    [InlineData("1=a:7001,")]
    [InlineData("1=fd00::1:7001")]
    [InlineData("1=a:7001,1=b:7001")]
    [InlineData("2=a:7001")]
    [InlineData("1=a:0")]
    [InlineData("1=a b:7001")]
    [InlineData("70000=a:7001,1=b:7001")]
    public void A_bad_list_is_refused(string list)
    {
        var error = Assert.Throws<PgraftException>(() => MemberSyntax.ParseInitialCluster(list, 1));
        Assert.Equal(StatusCode.BadArgument, error.Code);
        Assert.NotNull(error.Detail);
    }

    [Theory]
    [InlineData("127.0.0.1", true)]
    [InlineData("::1", true)]
    [InlineData("db_1.example-net", true)]
    [InlineData("-x", false)]
    [InlineData("[::1]", false)]
    [InlineData("::", false)]
    [InlineData("256.1.1.1", false)]
    [InlineData("a:b", false)]
    public void A_host_is_a_name_or_an_address_to_dial(string host, bool isGood) =>
        Assert.Equal(isGood, MemberSyntax.IsHost(host));

    public static TheoryData<string, Func<NodeOptions, NodeOptions>> Bad() => new()
    {
        { "cluster_id", n => n with { ClusterId = "a b" } },
        { "cluster_id", n => n with { ClusterId = new string('a', 65) } },
        { "data_dir", n => n with { DataDirectory = "relative" } },
        { "election_timeout", n => n with { ElectionTimeoutMs = 299 } },
        { "heartbeat_interval", n => n with { HeartbeatIntervalMs = 0 } },
        { "snapshot_interval", n => Runtime(n, r => r with { SnapshotIntervalEntries = 0 }) },
        { "max_log_entries", n => Runtime(n, r => r with { MaxLogEntries = -1 }) },
        { "batch_size", n => Runtime(n, r => r with { BatchSizeEntries = 0 }) },
        { "max_batch_delay", n => Runtime(n, r => r with { MaxBatchDelayMs = 1001 }) },
        {
            "compaction_threshold",
            n => Runtime(n, r => r with { CompactionThresholdRevisions = -1 })
        },
        { "pgraft.address", n => n with { Self = n.Self with { Host = "0.0.0.0" } } },
        { "pgraft.port", n => n with { Self = n.Self with { Port = 0 } } },
        { "pgraft.node_id", n => n with { Self = n.Self with { NodeId = 0 } } },
        { "pgraft.listen_address", n => n with { ListenAddress = "a b" } },
    };

    [Theory]
    [MemberData(nameof(Bad), DisableDiscoveryEnumeration = true)]
    public void A_bad_setting_is_named(string name, Func<NodeOptions, NodeOptions> spoil)
    {
        var good = TestHost.Options("/tmp/x");
        Assert.Same(good, good.Checked());
        var bad = good with { Node = spoil(good.Node) };
        var error = Assert.Throws<PgraftException>(() => bad.Checked());
        Assert.Equal(StatusCode.BadArgument, error.Code);
        Assert.Contains(name, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1023)]
    [InlineData(16 * 1024 * 1024 + 1)]
    public void The_value_limit_has_limits(int bytes)
    {
        var options = TestHost.Options("/tmp/x") with { MaxValueBytes = bytes };
        var error = Assert.Throws<PgraftException>(() => options.Checked());
        Assert.Contains("max_value_size", error.Message, StringComparison.Ordinal);
    }

    private static NodeOptions Runtime(
        NodeOptions node, Func<RuntimeOptions, RuntimeOptions> change) =>
        node with { Runtime = change(node.Runtime) };
}
