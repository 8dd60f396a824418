// A TestHost that serves HTTP on a port of its own, and a client for it.
using System.Net;
using System.Net.Sockets;
using System.Text;

using PgRaft.Server.Hosting;
using PgRaft.Server.Http;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Http;

internal sealed class HttpHost : IAsyncDisposable
{
    private const int DeadlineMs = 20_000;

    private HttpHost(TestHost host, HttpOptions options)
    {
        Host = host;
        Http = options;
    }

    public TestHost Host { get; }

    public HttpOptions Http { get; private set; }

    public FakeNode Node => Host.Node;

    public static async Task<HttpHost> StartAsync(
        Func<HostOptions, HostOptions>? change = null, HttpLimits? limits = null)
    {
        var options = new HttpOptions(true, "127.0.0.1", FreePort())
        {
            Limits = limits ?? HttpLimits.Default,
        };
        var host = new HttpHost(
            await TestHost.StartAsync(o => (change ?? (same => same))(o with { Http = options })),
            options);
        await host.ServingAsync();
        return host;
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public void Reload(HttpOptions options)
    {
        Http = options;
        Host.Host.Reload(TestHost.Options(Host.Directory) with { Http = options });
    }

    public Task ServingAsync() =>
        Eventually.TrueAsync(() => Host.Host.IsServingHttp, $"HTTP is served at {Http}");

    public static async Task<(int Status, string Body)> GetAsync(int port, string path)
    {
        using var client = new HttpClient { Timeout = TimeSpan.FromMilliseconds(DeadlineMs) };
        using var answer = await client.GetAsync(
            new Uri(FormattableString.Invariant($"http://127.0.0.1:{port}{path}")),
            TestContext.Current.CancellationToken);
        string body = await answer.Content.ReadAsStringAsync(
            TestContext.Current.CancellationToken);
        return ((int)answer.StatusCode, body);
    }

    public Task<(int Status, string Body)> GetAsync(string path) => GetAsync(Http.Port, path);

    public Socket Connect() => Connect(Http.Port);

    /// <param name="port">Where HTTP is served.</param>
    /// <param name="receiveBuffer">In bytes; null = the kernel's choice.</param>
    public static Socket Connect(int port, int? receiveBuffer = null)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
        {
            ReceiveTimeout = DeadlineMs,
            SendTimeout = DeadlineMs,
        };
        if (receiveBuffer is { } bytes)
            socket.ReceiveBufferSize = bytes;
        socket.Connect(IPAddress.Loopback, port);
        return socket;
    }

    /// <summary>Sends bytes and reads until the server closes.</summary>
    public string Exchange(string bytes)
    {
        using var socket = Connect();
        socket.Send(Encoding.ASCII.GetBytes(bytes));
        return ReadToEnd(socket);
    }

    public static string ReadToEnd(Socket socket)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            while (socket.Receive(buffer) is > 0 and var count)
                text.Append(Encoding.ASCII.GetString(buffer, 0, count));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Closed with something unread: as good as an end.
        }

        return text.ToString();
    }

    public ValueTask DisposeAsync() => Host.DisposeAsync();
}
