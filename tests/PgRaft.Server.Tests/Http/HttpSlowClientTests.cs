// Clients that keep the server waiting: it ends their connections, and answers others meanwhile.
using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

using PgRaft.Server.Http;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Http;

public class HttpSlowClientTests
{
    // The server looks once a second; the rest is what a busy machine adds.
    private static readonly TimeSpan Slack = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Short = TimeSpan.FromSeconds(2);

    // Timers count in whole ticks of a coarse clock, the one under way among them.
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);

    [Fact]
    public async Task A_head_that_does_not_end_is_cut_off()
    {
        await using var host = await HttpHost.StartAsync();
        using var socket = host.Connect();
        long start = Stopwatch.GetTimestamp();

        socket.Send("GET / HTTP/1.1\r\nHost:"u8);
        HttpHost.ReadToEnd(socket);

        Assert.InRange(
            Stopwatch.GetElapsedTime(start), TimeSpan.Zero, HttpLimits.Default.Head + Slack);
    }

    [Fact]
    public async Task A_client_that_says_nothing_is_cut_off()
    {
        await using var host = await HttpHost.StartAsync(
            limits: HttpLimits.Default with { Head = Short });
        long start = Stopwatch.GetTimestamp();
        using var socket = host.Connect();

        Assert.Empty(HttpHost.ReadToEnd(socket));

        Assert.InRange(Stopwatch.GetElapsedTime(start), Short - Tick, Short + Slack);
    }

    [Fact]
    public async Task A_client_that_says_nothing_does_not_hold_up_a_stop()
    {
        var forever = TimeSpan.FromMinutes(10);
        await using var host = await HttpHost.StartAsync(
            limits: HttpLimits.Default with { Head = forever });
        using var socket = host.Connect();
        Assert.Equal(200, (await host.GetAsync("/livez")).Status);
        long start = Stopwatch.GetTimestamp();

        host.Reload(host.Http with { IsEnabled = false });

        Assert.Empty(HttpHost.ReadToEnd(socket));
        Assert.InRange(Stopwatch.GetElapsedTime(start), TimeSpan.Zero, Slack);
    }

    [Fact]
    public async Task A_connection_that_is_idle_after_a_request_is_closed()
    {
        await using var host = await HttpHost.StartAsync(
            limits: HttpLimits.Default with { Idle = Short });
        using var socket = host.Connect();
        long start = Stopwatch.GetTimestamp();

        socket.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"u8);
        string answer = HttpHost.ReadToEnd(socket);

        Assert.StartsWith("HTTP/1.1 200 ", answer, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(start), Short - Tick, Short + Slack);
    }

    // It asks for megabytes and reads none of them.
    [Fact]
    public async Task A_client_that_does_not_read_is_cut_off_and_others_are_answered()
    {
        await using var host = await HttpHost.StartAsync();
        using var socket = HttpHost.Connect(host.Http.Port, receiveBuffer: 1024);
        var requests = Enumerable.Repeat("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 300);
        long start = Stopwatch.GetTimestamp();

        socket.Send(Encoding.ASCII.GetBytes(string.Concat(requests)));
        Assert.False(IsCutOff(socket));
        Assert.Equal(200, (await host.GetAsync("/metrics")).Status);

        await Eventually.TrueAsync(() => IsCutOff(socket), "the connection is ended");
        Assert.InRange(
            Stopwatch.GetElapsedTime(start), HttpLimits.Default.Head - Tick,
            TimeSpan.FromSeconds(15));
        Assert.Equal(200, (await host.GetAsync("/metrics")).Status);
    }

    // Without reading: what was sent before the end would be in its way.
    private static bool IsCutOff(Socket socket)
    {
        try
        {
            socket.Blocking = false;
            socket.Send("\r\n"u8);
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown;
        }
    }
}
