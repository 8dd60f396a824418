// The leader's disk runs full. Leadership goes to a member that has room, nothing acknowledged is
// lost, and the member comes back by itself once there is room: nobody restarts or reloads it.
//
// Threading: one test. A single node on a full disk is in HostRobustnessTests.

using Npgsql;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class FullDiskTests : ServerTest
{
    private const int MostValues = 1000;
    private const int ValueBytes = 256 * 1024;

    // The worker is started again after 2 s at first, and at most a minute apart.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    [Fact]
    public async Task A_leader_on_a_full_disk_is_replaced_and_comes_back_when_there_is_room()
    {
        await using var disk = await SmallDisk.MountAsync();
        var cluster = await NewClusterAsync(3, Founding.AddNode, s =>
            s.Settings["pgraft.data_dir"] = s.NodeId == 1 ? $"'{disk.Path}/pgraft'" : "'pgraft'");
        Assert.Equal(cluster[1], await cluster.LeaderAsync());
        await using var survivor = await cluster[1].OpenAsync();
        var started = await survivor.ServerStartAsync();

        var acknowledged = await FillAsync(cluster);

        await cluster[1].WaitForStateAsync("ERROR");
        await cluster[1].WaitForLogAsync("(?i)no space left");
        var leader = await cluster[2].LeaderAsync();
        Assert.NotEqual(1, leader);
        await TestCluster.FirstWriteAsync(cluster[2], "while full");
        Note($"full after {acknowledged.Count} values; node {leader} leads");

        await disk.GrowAsync();
        await cluster[1].WaitForStateAsync("RUNNING", Patience);
        await cluster.AgreedStateAsync();
        foreach (var key in acknowledged)
        {
            Assert.Equal(Value(key), await cluster[1].GetAsync(key, "local"));
        }

        Assert.Equal(started, await survivor.ServerStartAsync());
    }

    // Puts through a member that has room, until the leader is another. An error is no
    // acknowledgement, and the next value is tried.
    private static async Task<List<string>> FillAsync(TestCluster cluster)
    {
        var acknowledged = new List<string>();
        for (var i = 0; i < MostValues; i++)
        {
            try
            {
                if (await cluster[2].PutAsync($"fill/{i}", Value($"fill/{i}")))
                {
                    acknowledged.Add($"fill/{i}");
                }
            }
            catch (PostgresException e)
            {
                Assert.Contains(
                    e.SqlState, (string[])["53100", "58030", "40003", "57P03", "40001"]);
            }

            if (await cluster[2].LeaderAsync() is not (0 or 1))
            {
                return acknowledged;
            }
        }

        throw new InvalidOperationException($"No other leader after {MostValues} values.");
    }

    private static string Value(string key)
    {
        return key.PadRight(ValueBytes, 'f');
    }
}
