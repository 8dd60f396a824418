// Garbage on the Raft port, on the request socket and on the HTTP port: the worker must shrug it
// off. After each attack the same worker serves on all of them, and a connection that was open all
// along still works, which no server restart would leave alive.
//
// Threading: the tests share one cluster and run one after the other.

using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Npgsql;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class PortRobustnessTests : ServerTest, IClassFixture<PortRobustnessTests.Serving>
{
    private const int IdleConnections = 200;

    // More than an HTTP server takes.
    private const int Flood = 1200;

    private static readonly HttpClient Client = new() { Timeout = TimeSpan.FromSeconds(10) };

    private readonly TestCluster _cluster;

    public PortRobustnessTests(Serving shared)
    {
        ArgumentNullException.ThrowIfNull(shared);
        _cluster = shared.Cluster;
        Watch(_cluster);
    }

    public enum Target
    {
        RaftPort,
        RequestSocket,
        Http,
    }

    [Theory]
    [InlineData(Target.RaftPort)]
    [InlineData(Target.RequestSocket)]
    [InlineData(Target.Http)]
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
    [InlineData(Target.Http)]
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
    [InlineData(Target.Http)]
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

    [Theory]
    [InlineData("GET /lea")]
    [InlineData("GET /leader HTTP/1.1\r\nHost: pgr")]
    [InlineData("POST /leader HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\nhalf")]
    [InlineData("GET /leader HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffff")]
    public async Task Half_an_HTTP_request_does_no_harm(string begin)
    {
        await UnharmedAsync(async server =>
        {
            for (var round = 0; round < 20; round++)
            {
                await SendAsync(server, Target.Http, Encoding.ASCII.GetBytes(begin));
            }
        });
    }

    // They say nothing and stay: the server ends them, and has room again.
    [Fact]
    public async Task A_flood_of_HTTP_connections_stops_no_put_and_is_ended()
    {
        await UnharmedAsync(async server =>
        {
            var flood = new List<Socket>();
            try
            {
                for (var i = 0; i < Flood; i++)
                {
                    flood.Add(await ConnectAsync(server, Target.Http));
                    if (i % 100 == 0)
                    {
                        Assert.True(await server.PutAsync("while/flooded", $"{i}"));
                    }
                }

                await AnswersLeaderAsync(server);
            }
            finally
            {
                flood.ForEach(s => s.Dispose());
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
            await AnswersLeaderAsync(server);
            Assert.True(await survivor.ScalarAsync<bool>(
                "SELECT pgraft_kv_put('after/attack', 'written')"));
            Assert.Equal(started, await survivor.ServerStartAsync());
        }
    }

    // Of whoever leads now: an attack is no reason for an election, but a busy machine may be.
    private static Task AnswersLeaderAsync(TestServer server)
    {
        var uri = new Uri($"http://127.0.0.1:{HttpPortOf(server)}/leader");
        return Poll.UntilAsync(
            $"/leader of node {server.NodeId} says what SQL says",
            async () =>
            {
                try
                {
                    using var answer = await Client.GetAsync(
                        uri, TestContext.Current.CancellationToken);
                    var leads = await server.ScalarAsync<bool>("SELECT pgraft_is_leader()");
                    return answer.StatusCode
                        == (leads ? HttpStatusCode.OK : HttpStatusCode.ServiceUnavailable);
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            });
    }

    private static int HttpPortOf(TestServer server)
    {
        return int.Parse(server.Settings["pgraft.metrics_port"], CultureInfo.InvariantCulture);
    }

    private static async Task<Socket> ConnectAsync(TestServer server, Target target)
    {
        var socket = target == Target.RequestSocket
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(target switch
        {
            Target.RaftPort => new IPEndPoint(IPAddress.Loopback, server.RaftPort),
            Target.Http => new IPEndPoint(IPAddress.Loopback, HttpPortOf(server)),
            _ => new UnixDomainSocketEndPoint(server.SocketPath),
        });
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

    /// <summary>A cluster whose members serve HTTP.</summary>
    public sealed class Serving : IAsyncLifetime
    {
        private TestCluster? _cluster;

        public TestCluster Cluster =>
            _cluster ?? throw new InvalidOperationException("Not started.");

        public async ValueTask InitializeAsync()
        {
            _cluster = await TestCluster.StartAsync(
                3, Founding.InitialCluster, s => HttpPort.Open(s));
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
