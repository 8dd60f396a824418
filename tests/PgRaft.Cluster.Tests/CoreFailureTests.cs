// An exception inside the core, provoked from outside: somebody who knows the cluster's name and
// founding claims to be its leader and sends an entry that contradicts a committed one. The node
// must stop rather than obey, say why, and come back; the server and its connections must not
// notice. Who does not know the founding gets nowhere.

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;

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
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, server.RaftPort);
        var stream = client.GetStream();
        using var hello = new MemoryStream();
        hello.Write("PGRAFTPP"u8);
        Int32(hello, 1);
        Int32(hello, 1);
        hello.WriteByte(1);
        Text(hello, clusterId);
        Int64(hello, founding);
        Int32(hello, 2);
        Int32(hello, server.NodeId);
        Int32(hello, 1000);
        Text(hello, "forged");

        // It writes the oldest data, reads any, and holds the oldest.
        foreach (var dataVersion in (int[])[1, int.MaxValue, 1])
        {
            Int32(hello, dataVersion);
        }

        await SendAsync(stream, 1, hello);
        var head = new byte[9];
        await stream.ReadExactlyAsync(head);
        var answer = new byte[BinaryPrimitives.ReadInt32LittleEndian(head)];
        await stream.ReadExactlyAsync(answer);
        Assert.Equal(0, answer[0]);

        using var append = new MemoryStream();
        foreach (long number in (long[])[1000, 0, 0, 0])
        {
            Int64(append, number);
        }

        Int32(append, 1);
        Int64(append, 1000);
        append.WriteByte(1);
        Int32(append, 0);
        await SendAsync(stream, 4, append);
    }

    private static async Task SendAsync(NetworkStream stream, byte type, MemoryStream body)
    {
        var head = new byte[9];
        BinaryPrimitives.WriteUInt32LittleEndian(head, (uint)body.Length);
        head[4] = type;
        await stream.WriteAsync(head);
        await stream.WriteAsync(body.ToArray());
    }

    private static void Text(MemoryStream stream, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Int32(stream, bytes.Length);
        stream.Write(bytes);
    }

    private static void Int32(MemoryStream stream, int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        stream.Write(bytes);
    }

    private static void Int64(MemoryStream stream, long number)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, number);
        stream.Write(bytes);
    }
}
