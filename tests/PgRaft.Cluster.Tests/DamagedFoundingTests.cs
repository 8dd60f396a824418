// Damage to the file that a cluster's founding is in, on a member that has no snapshot yet and so
// needs it: the member refuses to start and names the file, the others go on, and the documented
// way to replace the member works.
//
// Threading: one test at a time, each with a cluster of its own.

using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class DamagedFoundingTests : ServerTest
{
    private const int MagicBytes = 8;

    [Fact]
    public Task A_flipped_bit()
    {
        return RefusedAsync(path => LogFiles.Flip(path, MagicBytes + 3));
    }

    [Fact]
    public Task A_file_that_was_cut_off()
    {
        return RefusedAsync(path => LogFiles.Truncate(path, MagicBytes + 3));
    }

    private async Task RefusedAsync(Action<string> damage)
    {
        var cluster = await NewClusterAsync(3, Founding.InitialCluster);
        var member = await cluster.FollowerAsync();
        var path = Path.Combine(member.PgraftDirectory, "founding");
        Assert.True(await member.PutAsync("before", "damage"));
        await member.KillAsync();
        damage(path);

        await member.StartAsync();

        await member.WaitForStateAsync("ERROR");
        await member.WaitForLogAsync(
            $"file \"{path}\" is damaged at offset [0-9]+[: ].*Remove this node");
        await TestCluster.FirstWriteAsync(cluster.Servers.First(s => s != member), "after");

        // The page says so, too.
        member.Settings.Remove("pgraft.initial_cluster");
        await MemberReplacement.RunAsync(cluster, member);
        Assert.Equal("damage", await member.GetAsync("before", "local"));
    }
}
