// A call that fails has told its caller so; nothing of it is left for the runtime to report.
// Threading: one test. Failure: the deadline of a wait.
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging.Abstractions;
using PgRaft.Consensus.Metrics;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Consensus.Transport;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class PeerConnectionTests
{
    // Of no other test: the runtime reports what is left of all of them.
    private const int NodeId = 424242;

    // More than the kernel takes for a peer that does not read.
    private const int ManyBytes = 64 * 1024 * 1024;

    [Fact]
    public async Task ACallThatBreaksWhileItIsSentLeavesNoFailedTaskBehind()
    {
        int left = 0;
        void Count(object? sender, UnobservedTaskExceptionEventArgs args)
        {
            string text = args.Exception.ToString();
            if (text.Contains($"node {NodeId} ", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref left);
            }
        }

        TaskScheduler.UnobservedTaskException += Count;
        try
        {
            await BreakACallAsync();
            for (int collection = 0; collection < 3; collection++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
        }
        finally
        {
            TaskScheduler.UnobservedTaskException -= Count;
        }

        Assert.Equal(0, left);
    }

    // Its objects must be garbage when it returns.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task BreakACallAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(listener.LocalEndpoint, TestCluster.Limit);
        var peer = await listener.AcceptSocketAsync(TestCluster.Limit);
        var meters = new NodeMeters();
        var address = new MemberAddress(NodeId, "127.0.0.1", 1);
        await using var connection = new PeerConnection(
            NodeId, ChannelKind.Client, new FrameStream(socket, meters),
            new ConnectionHealth(address, NullLogger.Instance));

        var call = connection.CallAsync(
            MessageType.Forward, new FrameWriter().Raw(new byte[ManyBytes]), TestCluster.Limit);
        Assert.NotEqual(0, await peer.ReceiveAsync(new byte[1], TestCluster.Limit));
        peer.Close(timeout: 0);

        await Assert.ThrowsAsync<PeerUnavailableException>(() => call);
    }
}
