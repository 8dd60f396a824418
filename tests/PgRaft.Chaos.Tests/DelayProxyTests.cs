// The proxy that makes a network slow. Threading: one test at a time.

using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using PgRaft.Chaos.Network;

namespace PgRaft.Chaos.Tests;

public sealed class DelayProxyTests
{
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(80);

    [Fact]
    public async Task Bytes_arrive_in_order_and_late_both_ways()
    {
        using var target = new TcpListener(IPAddress.Loopback, 0);
        target.Start();
        await using var proxy = ProxyTo(target);
        using var near = new TcpClient();
        await near.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
        using var far = await target.AcceptTcpClientAsync(Stop);

        var clock = Stopwatch.StartNew();
        await near.GetStream().WriteAsync("one "u8.ToArray(), Stop);
        await near.GetStream().WriteAsync("two"u8.ToArray(), Stop);
        Assert.Equal("one two", await ReadAsync(far, 7));
        Assert.True(clock.Elapsed >= Delay, $"{clock.Elapsed}");

        clock.Restart();
        await far.GetStream().WriteAsync("back"u8.ToArray(), Stop);
        Assert.Equal("back", await ReadAsync(near, 4));
        Assert.True(clock.Elapsed >= Delay, $"{clock.Elapsed}");

        // A timer may be early: not every time.
        for (var i = 0; i < 20; i++)
        {
            clock.Restart();
            await far.GetStream().WriteAsync("x"u8.ToArray(), Stop);
            Assert.Equal("x", await ReadAsync(near, 1));
            Assert.True(clock.Elapsed >= Delay, $"{clock.Elapsed}");
        }
    }

    [Fact]
    public async Task Closing_it_breaks_its_connections()
    {
        using var target = new TcpListener(IPAddress.Loopback, 0);
        target.Start();
        using var near = new TcpClient();
        TcpClient far;
        await using (var proxy = ProxyTo(target))
        {
            await near.ConnectAsync(IPAddress.Loopback, proxy.Port, Stop);
            far = await target.AcceptTcpClientAsync(Stop);
        }

        using (far)
        {
            Assert.Equal("", await ReadAsync(near, 1));
            Assert.Equal("", await ReadAsync(far, 1));
        }
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private static DelayProxy ProxyTo(TcpListener target)
    {
        return new DelayProxy(
            IPAddress.Loopback,
            (IPEndPoint)target.LocalEndpoint,
            new DelayRange(Delay, Delay));
    }

    // Fewer bytes when the connection ends before.
    private static async Task<string> ReadAsync(TcpClient from, int count)
    {
        var buffer = new byte[count];
        try
        {
            var read = await from.GetStream().ReadAtLeastAsync(
                buffer, count, throwOnEndOfStream: false, Stop);
            return System.Text.Encoding.ASCII.GetString(buffer, 0, read);
        }
        catch (IOException)
        {
            return "";
        }
    }
}
