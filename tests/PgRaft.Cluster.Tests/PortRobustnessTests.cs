// Garbage on the Raft port and on the request socket: the worker must shrug it off. After each
// attack the same worker serves, and a connection that was open all along still works, which no
// server restart would leave alive.
//
// Threading: the tests share one cluster and run one after the other.

using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests;

public sealed class PortRobustnessTests : ServerTest, IClassFixture<SharedCluster>
{
    private const int IdleConnections = 200;

    private readonly TestCluster _cluster;

    public PortRobustnessTests(SharedCluster shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    public enum Target
    {
        RaftPort,
        RequestSocket,
    }

    [Theory]
    [InlineData(Target.RaftPort)]
    [InlineData(Target.RequestSocket)]
    public async Task Random_bytes_do_no_harm(Target target)
    {
        await UnharmedAsync(async server =>
        {
            var seed = Random.Shared.Next();
            Note($"seed {seed}");
            var random = new Random(seed);
            for (var round = 0; round < 100; round++)
            {
                var bytes = new byte[random.Next(1, 5000)];
                random.NextBytes(bytes);
                await SendAsync(server, target, bytes);
            }
        });
    }

    [Theory]
    [InlineData(Target.RaftPort, uint.MaxValue)]
    [InlineData(Target.RaftPort, (uint)int.MaxValue)]
    [InlineData(Target.RaftPort, 64u * 1024 * 1024)]
    [InlineData(Target.RaftPort, 0u)]
    [InlineData(Target.RequestSocket, uint.MaxValue)]
    [InlineData(Target.RequestSocket, (uint)int.MaxValue)]
    [InlineData(Target.RequestSocket, 64u * 1024 * 1024)]
    [InlineData(Target.RequestSocket, 0u)]
    public async Task Any_length_in_a_frames_head_does_no_harm(Target target, uint length)
    {
        await UnharmedAsync(async server =>
        {
            var resident = ServerProcesses.ResidentBytes(server.WorkerPid);
            for (var round = 0; round < 20; round++)
            {
                var frame = new byte[64];
                BinaryPrimitives.WriteUInt32LittleEndian(frame, length);
                await SendAsync(server, target, frame);
            }

            var grown = ServerProcesses.ResidentBytes(server.WorkerPid) - resident;
            Assert.True(grown < 64 * 1024 * 1024, $"the worker grew by {grown} bytes");
        });
    }

    [Theory]
    [InlineData(Target.RaftPort)]
    [InlineData(Target.RequestSocket)]
    public async Task Half_a_frame_does_no_harm(Target target)
    {
        await UnharmedAsync(async server =>
        {
            for (var length = 1; length < 20; length++)
            {
                var frame = new byte[length];
                frame[0] = 100;
                await SendAsync(server, target, frame);
            }
        });
    }

    [Theory]
    [InlineData(Target.RaftPort)]
    [InlineData(Target.RequestSocket)]
    public async Task Many_idle_connections_do_not_keep_others_out(Target target)
    {
        await UnharmedAsync(async server =>
        {
            var idle = new List<Socket>();
            try
            {
                for (var i = 0; i < IdleConnections; i++)
                {
                    idle.Add(await ConnectAsync(server, target));
                }

                Assert.True(await server.PutAsync("while/idle", "written"));
                Assert.Equal("written", await server.GetAsync("while/idle"));
            }
            finally
            {
                idle.ForEach(s => s.Dispose());
            }
        });
    }

    // Frames: a length, a type (4 is an append), a request id.
    public static TheoryData<string, byte[]> Strangers => new()
    {
        { "a small frame that is no hello", [4, 0, 0, 0, 4, 1, 0, 0, 0, 9, 9, 9, 9] },
        { "an empty frame", new byte[9] },
        { "a hello without its first word", [4, 0, 0, 0, 1, 1, 0, 0, 0, 9, 9, 9, 9] },
        { "half a frame", [4, 0, 0] },
        { "HTTP", "GET / HTTP/1.1\r\nHost: pgraft\r\n\r\n"u8.ToArray() },
        { "TLS", [0x16, 3, 1, 0, 0xa5, 1, 0, 0, 0xa1, 3, 3, 0, 0, 0, 0, 0] },
    };

    // A server of its own: refusals are logged once a minute.
    [Theory]
    [MemberData(nameof(Strangers))]
    public async Task A_stranger_on_the_Raft_port_is_logged_as_one(string what, byte[] bytes)
    {
        var cluster = await NewClusterAsync(1, Founding.None);
        await cluster[1].WaitForStateAsync("WAITING");

        Note(what);
        await SendAsync(cluster[1], Target.RaftPort, bytes);

        await cluster[1].WaitForLogAsync(
            "WARNING: .*refused a connection from 127\\.0\\.0\\.1:[0-9]+: "
            + "It does not speak the pgraft protocol\\.");
    }

    [Fact]
    public async Task A_malformed_request_is_answered_and_harms_no_other_connection()
    {
        await UnharmedAsync(async server =>
        {
            using var socket = await ConnectAsync(server, Target.RequestSocket);
            byte[] request = new byte[4 + 16];
            BinaryPrimitives.WriteUInt32LittleEndian(request, 16);
            BinaryPrimitives.WriteUInt16LittleEndian(request.AsSpan(4), 9999);
            BinaryPrimitives.WriteUInt32LittleEndian(request.AsSpan(8), 77);
            await socket.SendAsync(request);

            var answer = new byte[12];
            await ReceiveAsync(socket, answer);

            Assert.Equal(5, BinaryPrimitives.ReadInt32LittleEndian(answer.AsSpan(4)));
            Assert.Equal(77u, BinaryPrimitives.ReadUInt32LittleEndian(answer.AsSpan(8)));
        });
    }

    // Does it to a follower and to the leader.
    private async Task UnharmedAsync(Func<TestServer, Task> attack)
    {
        TestServer[] targets = [await _cluster.LeaderAsync(), await _cluster.FollowerAsync()];
        foreach (var server in targets)
        {
            await using NpgsqlConnection survivor = await server.OpenAsync();
            var started = await survivor.ServerStartAsync();
            var worker = server.WorkerPid;

            await attack(server);

            Assert.Equal(worker, server.WorkerPid);
            Assert.Equal("RUNNING", await server.WorkerStateAsync());
            Assert.True(await survivor.ScalarAsync<bool>(
                "SELECT pgraft_kv_put('after/attack', 'written')"));
            Assert.Equal(started, await survivor.ServerStartAsync());
        }
    }

    private static async Task<Socket> ConnectAsync(TestServer server, Target target)
    {
        var socket = target == Target.RaftPort
            ? new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(target == Target.RaftPort
            ? new IPEndPoint(IPAddress.Loopback, server.RaftPort)
            : new UnixDomainSocketEndPoint(server.SocketPath));
        return socket;
    }

    // The other side may close at any moment; that is its right.
    private static async Task SendAsync(TestServer server, Target target, byte[] bytes)
    {
        using var socket = await ConnectAsync(server, target);
        try
        {
            await socket.SendAsync(bytes);
            socket.Shutdown(SocketShutdown.Send);
            using var deadline = new CancellationTokenSource(TimeSpan.FromMilliseconds(50));
            await socket.ReceiveAsync(new byte[256], deadline.Token);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
        }
    }

    private static async Task ReceiveAsync(Socket socket, byte[] buffer)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        for (var received = 0; received < buffer.Length;)
        {
            var count = await socket.ReceiveAsync(buffer.AsMemory(received), deadline.Token);
            Assert.NotEqual(0, count);
            received += count;
        }
    }
}
