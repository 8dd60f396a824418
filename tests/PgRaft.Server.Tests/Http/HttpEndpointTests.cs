// The server itself: switched on, off and moved; ports that are taken; clients that are hostile or
// many. HttpSlowClientTests has those that are slow.
using System.Net;
using System.Net.Sockets;
using System.Text;

using PgRaft.Server.Hosting;
using PgRaft.Server.Http;
using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Http;

public class HttpEndpointTests
{
    private const int CannotServe = 2052;

    [Fact]
    public async Task It_is_off_until_a_reload_switches_it_on_and_follows_the_settings()
    {
        await using var host = await HttpHost.StartAsync();
        var first = host.Http;
        var second = first with { Port = HttpHost.FreePort() };

        host.Reload(second);
        await host.ServingAsync();
        Assert.Equal(200, (await HttpHost.GetAsync(second.Port, "/livez")).Status);
        AssertRefused(first.Port);

        host.Reload(second with { IsEnabled = false });
        await Eventually.TrueAsync(() => IsRefused(second.Port), "HTTP is off");

        host.Reload(second);
        await host.ServingAsync();
        Assert.Equal(200, (await HttpHost.GetAsync(second.Port, "/livez")).Status);
    }

    [Fact]
    public async Task A_reload_of_other_settings_keeps_connections()
    {
        await using var host = await HttpHost.StartAsync();
        using var socket = host.Connect();

        host.Reload(host.Http with { });
        socket.Send("GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"u8);

        Assert.StartsWith("HTTP/1.1 200 ", HttpHost.ReadToEnd(socket), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_without_the_setting_serves_nothing()
    {
        await using var host = await TestHost.StartAsync(
            o => o with { Http = HttpOptions.Off with { Port = HttpHost.FreePort() } });

        Assert.False(host.Host.IsServingHttp);
    }

    [Fact]
    public async Task A_busy_port_is_one_line_in_the_log_and_taken_when_it_is_free()
    {
        using var other = new TcpListener(IPAddress.Loopback, 0);
        other.Start();
        int port = ((IPEndPoint)other.LocalEndpoint).Port;
        await using var host = await TestHost.StartAsync(
            o => o with { Http = new HttpOptions(true, "127.0.0.1", port) });
        await Eventually.TrueAsync(
            () => host.Log.Records.Any(r => r.EventId == CannotServe), "the log says it");
        Assert.Equal(WorkerState.Running, host.Host.State);
        Assert.Contains("pgraft.metrics_enabled", await FindingsAsync(host));

        other.Stop();
        await Eventually.TrueAsync(() => host.Host.IsServingHttp, "the port is taken");
        Assert.DoesNotContain("pgraft.metrics_enabled", await FindingsAsync(host));

        Assert.Equal(200, (await HttpHost.GetAsync(port, "/livez")).Status);
        Assert.Single(host.Log.Records, r => r.EventId == CannotServe);
    }

    [Fact]
    public async Task An_address_of_another_machine_is_one_line_in_the_log()
    {
        await using var host = await HttpHost.StartAsync();

        host.Reload(host.Http with { Address = "192.0.2.1" });

        await Eventually.TrueAsync(
            () => host.Host.Log.Records.Any(r => r.EventId == CannotServe), "the log says it");
        Assert.Equal(WorkerState.Running, host.Host.Host.State);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\nX: ", 9000, 431)]
    [InlineData("GET /", 3000, 414)]
    [InlineData("\u0001\u0002\u0003\r\n\r\n", 0, 400)]
    public async Task A_head_that_is_too_large_or_none_is_refused(
        string begin, int more, int expected)
    {
        await using var host = await HttpHost.StartAsync();

        string answer = host.Exchange(begin + new string('a', more) + "\r\n\r\n");

        Assert.StartsWith(
            FormattableString.Invariant($"HTTP/1.1 {expected} "), answer, StringComparison.Ordinal);
        Assert.Equal(200, (await host.GetAsync("/livez")).Status);
    }

    // "Host" and "Connection" are two of them.
    [Theory]
    [InlineData(50, 200)]
    [InlineData(51, 431)]
    public async Task Headers_are_bounded(int count, int expected)
    {
        await using var host = await HttpHost.StartAsync();
        var others = Enumerable.Range(2, count - 2).Select(i => $"X{i}: y\r\n");

        string answer = host.Exchange(
            "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + string.Concat(others) + "\r\n");

        Assert.StartsWith(
            FormattableString.Invariant($"HTTP/1.1 {expected} "), answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_is_not_taken()
    {
        await using var host = await HttpHost.StartAsync();

        string answer = host.Exchange(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
            + new string('a', 10_000));

        Assert.StartsWith("HTTP/1.1 4", answer, StringComparison.Ordinal);
    }

    // One more than the limit is closed; when one goes there is room again.
    [Fact]
    public async Task Connections_are_bounded()
    {
        await using var host = await HttpHost.StartAsync();
        var sockets = new List<Socket>();
        try
        {
            for (int i = 0; i < HttpEndpoint.MaxConnections; i++)
                sockets.Add(host.Connect());
            Assert.StartsWith("HTTP/1.1 200 ", Ask(sockets[^1]), StringComparison.Ordinal);
            Assert.False(IsAnswered(host.Http.Port));

            sockets[0].Dispose();
            await Eventually.TrueAsync(() => IsAnswered(host.Http.Port), "there is room again");
        }
        finally
        {
            sockets.ForEach(s => s.Dispose());
        }
    }

    private static async Task<string[]> FindingsAsync(TestHost host)
    {
        using var client = host.Connect();
        var answer = await client.CallAsync(RequestCode.Findings);
        return [.. answer.Rows.Select(r => (string)r[0]!)];
    }

    private static string Ask(Socket socket)
    {
        socket.Send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"u8);
        var buffer = new byte[1024];
        return Encoding.ASCII.GetString(buffer, 0, socket.Receive(buffer));
    }

    private static bool IsAnswered(int port)
    {
        using var socket = HttpHost.Connect(port);
        try
        {
            return Ask(socket).StartsWith("HTTP/1.1 200 ", StringComparison.Ordinal);
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static void AssertRefused(int port) => Assert.True(IsRefused(port));

    private static bool IsRefused(int port)
    {
        try
        {
            HttpHost.Connect(port).Dispose();
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionRefused;
        }
    }
}
