// An exception inside the core, provoked from outside: somebody who knows the cluster's name and
// founding claims to be its leader and sends an entry that contradicts a committed one. The node
// must stop rather than obey, say why, and come back; the server and its connections must not
// notice. Who does not know the founding gets nowhere.

using System.Buffers.Binary;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class CoreFailureTests : ServerTest
{
    [Fact]
    public async Task A_broken_invariant_ends_the_worker_and_not_the_server()
    {
        await using var cluster = await TestCluster.StartAsync(1, Founding.AddNode);
        Watch(cluster);
        var server = cluster[1];
        Assert.True(await server.PutAsync("committed", "kept"));
        await using NpgsqlConnection survivor = await server.OpenAsync();
        var started = await survivor.ServerStartAsync();
        var worker = server.WorkerPid;

        var clusterId = await server.ScalarAsync<string>("SHOW pgraft.cluster_id");
        await ContradictAsync(server, clusterId, founding: 0);
        await server.WaitForLogAsync("does not belong to the cluster");
        Assert.Equal(worker, server.WorkerPid);

        await ContradictAsync(server, clusterId, FoundingOf(server));

        await server.WaitForLogAsync(
            "broken invariant: leader completeness: a leader sent entry 1 of term 1000");
        await Poll.UntilAsync(
            "another worker runs",
            async () => server.WorkerPid != worker && await server.WorkerStateAsync() == "RUNNING",
            done => done);
        Assert.Equal(started, await survivor.ServerStartAsync());
        Assert.Equal("kept", await server.GetAsync("committed"));
    }

    // docs/storage.md: after the magic and the configuration's format.
    private static long FoundingOf(TestServer server) => BinaryPrimitives.ReadInt64LittleEndian(
        File.ReadAllBytes(Path.Combine(server.PgraftDirectory, "founding")).AsSpan(9));

    // docs/peer-protocol.md: a hello, then an append of one entry at index 1.
    private static async Task ContradictAsync(TestServer server, string clusterId, long founding)
    {
        using var peer = await ForgedPeer.ConnectAsync(server, clusterId, founding);
        Assert.True(peer.IsAccepted);
        using var append = new MemoryStream();
        foreach (long number in (long[])[1000, 0, 0, 0])
        {
            ForgedPeer.Int64(append, number);
        }

        ForgedPeer.Int32(append, 1);
        ForgedPeer.Int64(append, 1000);
        append.WriteByte(1);
        ForgedPeer.Int32(append, 0);
        await peer.SendAsync(4, append);
    }
}
