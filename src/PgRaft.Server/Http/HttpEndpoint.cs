// The HTTP server: switched on and off, and moved, while the node runs.
//
// Why Kestrel by hand: the generic host takes signal handlers, which belong to PostgreSQL; the
// server itself takes none. Its limits are what keeps slow and hostile clients cheap: a bound on
// connections, on the time until a client says anything and for a request's head, on its size, and
// on how slowly answers may be taken and how much of them waits.
// Threading: Apply from any thread, it does not wait; one task at a time changes the server.
// Failure: an address that cannot be bound is one line in the log, and is tried again until it can
// or the settings change. The node goes on without HTTP.
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;

using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

using PgRaft.Consensus.Transport;
using PgRaft.Server.Logging;

namespace PgRaft.Server.Http;

internal sealed class HttpEndpoint(HttpRoutes routes, ILogger logger) : IAsyncDisposable
{
    /// <summary>Connections at once; those beyond are closed.</summary>
    public const int MaxConnections = 1100;

    private const int MaxHeadBytes = 8 * 1024;
    private const int MaxHeaders = 50;

    // Of answers that a client does not read, in the server and in the kernel, which doubles it.
    private const int MaxUnreadBytes = 64 * 1024;

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan StopGrace = TimeSpan.FromMilliseconds(300);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly CancellationTokenSource _stopping = new();
    private HttpOptions _wanted = HttpOptions.Off;
    private HttpOptions _served = HttpOptions.Off;
    private HttpOptions? _reported;
    private KestrelServer? _server;
    private string? _trouble;
    private Task _settling = Task.CompletedTask;

    /// <summary>Whether it is served as the settings want it.</summary>
    public bool IsServing => Volatile.Read(ref _server) is not null
        && ReferenceEquals(Volatile.Read(ref _served), Volatile.Read(ref _wanted));

    /// <summary>Why it is not served as the settings want it; null = it is, or is about to be.
    /// </summary>
    public string? Trouble => Volatile.Read(ref _trouble);

    /// <summary>Takes over settings; what follows from them happens in the background.</summary>
    public void Apply(HttpOptions options)
    {
        if (options == Volatile.Read(ref _wanted) || _stopping.IsCancellationRequested)
            return;
        Volatile.Write(ref _wanted, options);
        _settling = Task.WhenAll(_settling, Task.Run(SettleAsync));
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _settling.ConfigureAwait(false);
        await _turn.WaitAsync().ConfigureAwait(false);
        await StopAsync().ConfigureAwait(false);
        _stopping.Dispose();
        _turn.Dispose();
    }

    private async Task SettleAsync()
    {
        while (!await TrySettleAsync().ConfigureAwait(false))
        {
            // Nothing announces that another program has left the port.
            await Task.Delay(RetryInterval, _stopping.Token)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // False when it should be tried again.
    private async Task<bool> TrySettleAsync()
    {
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            var wanted = Volatile.Read(ref _wanted);
            if (_stopping.IsCancellationRequested || IsServing)
                return true;
            await StopAsync().ConfigureAwait(false);
            if (wanted.IsEnabled)
                await StartAsync(wanted).ConfigureAwait(false);
            Volatile.Write(ref _trouble, null);
            return true;
        }
        catch (Exception e)
        {
            Report(e);
            return false;
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task StartAsync(HttpOptions wanted)
    {
        var addresses = await ResolveAsync(wanted.Address, _stopping.Token).ConfigureAwait(false);
        var server = Create(addresses, wanted);
        try
        {
            await server.StartAsync(new HttpApplication(routes, logger), _stopping.Token)
                .ConfigureAwait(false);
        }
        catch
        {
            server.Dispose();
            throw;
        }

        Volatile.Write(ref _served, wanted);
        Volatile.Write(ref _server, server);
        _reported = null;
        logger.HttpListening(wanted.Address, wanted.Port);
    }

    private async Task StopAsync()
    {
        if (Interlocked.Exchange(ref _server, null) is not { } server)
            return;
        using var limit = new CancellationTokenSource(StopGrace);
        await server.StopAsync(limit.Token).ConfigureAwait(false);
        server.Dispose();
        logger.HttpStopped(_served.Address, _served.Port);
    }

    private void Report(Exception exception)
    {
        var wanted = Volatile.Read(ref _wanted);
        Volatile.Write(ref _trouble, exception.Message);
        if (_stopping.IsCancellationRequested || ReferenceEquals(_reported, wanted))
            return;
        _reported = wanted;
        logger.HttpNotListening(wanted.Address, wanted.Port, exception.Message);
    }

    private static async Task<IPAddress[]> ResolveAsync(string host, CancellationToken token) =>
        host switch
        {
            "*" => [Socket.OSSupportsIPv6 ? IPAddress.IPv6Any : IPAddress.Any],
            _ => await new HostLookup(host).FindAsync(token).ConfigureAwait(false),
        };

    // Without loggers: what a client does must not fill the server's log.
    private static KestrelServer Create(IPAddress[] addresses, HttpOptions wanted)
    {
        var options = new KestrelServerOptions { AddServerHeader = false };
        Limit(options.Limits, wanted.Limits);
        foreach (var address in addresses.Distinct())
        {
            options.Listen(address, wanted.Port, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                listen.Use((connection, next) => BeginAsync(connection, next, wanted.Limits.Head));
            });
        }

        var transport = new SocketTransportFactory(
            Options.Create(new SocketTransportOptions
            {
                IOQueueCount = 1,
                CreateBoundListenSocket = Listen,
            }),
            NullLoggerFactory.Instance);
        return new KestrelServer(
            Options.Create(options), transport, NullLoggerFactory.Instance);
    }

    // What is accepted has the size of the listener. The kernel's own choice grows to megabytes a
    // connection, for which a client that stops reading would have earned minutes.
    private static Socket Listen(EndPoint address)
    {
        var socket = SocketTransportOptions.CreateDefaultBoundListenSocket(address);
        socket.SendBufferSize = MaxUnreadBytes;
        return socket;
    }

    // To the server a client that has said nothing yet is one between two requests, which may take
    // its time.
    private static async Task BeginAsync(
        ConnectionContext connection, ConnectionDelegate next, TimeSpan limit)
    {
        if (await HasBegunAsync(connection.Transport.Input, limit).ConfigureAwait(false))
            await next(connection).ConfigureAwait(false);
    }

    // What it sends is left for whoever reads next.
    private static async Task<bool> HasBegunAsync(PipeReader input, TimeSpan limit)
    {
        using var tooLong = new CancellationTokenSource(limit);
        try
        {
            var first = await input.ReadAsync(tooLong.Token).ConfigureAwait(false);
            input.AdvanceTo(first.Buffer.Start);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private static void Limit(KestrelServerLimits limits, HttpLimits clients)
    {
        limits.MaxConcurrentConnections = MaxConnections;
        limits.MaxConcurrentUpgradedConnections = 0;
        limits.MaxRequestBodySize = 0;
        limits.MaxRequestHeaderCount = MaxHeaders;
        limits.MaxRequestHeadersTotalSize = MaxHeadBytes;
        limits.MaxRequestLineSize = MaxHeadBytes / 4;
        limits.MaxRequestBufferSize = MaxHeadBytes * 2;
        limits.MaxResponseBufferSize = MaxUnreadBytes;
        limits.MinResponseDataRate = new MinDataRate(clients.BytesPerSecond, clients.Head);
        limits.RequestHeadersTimeout = clients.Head;
        limits.KeepAliveTimeout = clients.Idle;
    }
}
