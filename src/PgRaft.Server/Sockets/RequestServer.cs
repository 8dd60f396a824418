// Listens on the Unix socket in the data directory and gives every connection its own task.
// The directory is private to the server's user (mode 0700), and so is the socket.
// Threading: Start and StopAsync by the host; connections run on the thread pool.
// Failure: Start throws PgraftException; afterwards trouble with a connection stays with it.
using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

using Microsoft.Extensions.Logging;

using PgRaft.Core;
using PgRaft.Server.Logging;
using PgRaft.Server.Protocol;
using PgRaft.Server.Requests;

namespace PgRaft.Server.Sockets;

internal sealed class RequestServer(
    string path, RequestDispatcher dispatcher, ILogger logger, int maxConnections)
    : IAsyncDisposable
{
    // sun_path of sockaddr_un, without its NUL.
    private const int MaxPathBytes = 107;
    private const int Backlog = 512;

    // How long an answer may still take to leave once the server stops.
    private static readonly TimeSpan StopGrace = TimeSpan.FromMilliseconds(500);

    private readonly ConcurrentDictionary<long, Task> _connections = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _abort = new();
    private readonly RateLimit _refused = new(TimeSpan.FromMinutes(1));
    private readonly ConnectionTroubles _troubles = new(logger);
    private Socket? _listener;
    private Task _accepting = Task.CompletedTask;
    private long _lastId;

    public int Connections => _connections.Count;

    /// <summary>Connections that were closed for what they sent.</summary>
    public long MalformedFrames => _troubles.MalformedFrames;

    /// <summary>Binds the socket, removing what a crashed predecessor left, and accepts.</summary>
    /// <exception cref="PgraftException">The path is too long or cannot be bound.</exception>
    public void Start()
    {
        CheckPath(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            File.Delete(path);
            listener.Bind(new UnixDomainSocketEndPoint(path));
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            listener.Listen(Backlog);
        }
        catch (Exception e)
            when (e is SocketException or IOException or UnauthorizedAccessException)
        {
            listener.Dispose();
            throw new PgraftException(
                StatusCode.IoError,
                $"cannot listen on the request socket \"{path}\"",
                e.Message,
                null,
                e);
        }

        _listener = listener;
        _accepting = Task.Run(() => AcceptAllAsync(listener));
        logger.Listening(path);
    }

    /// <summary>Stops accepting, lets answers that are on their way leave, and closes the rest.
    /// </summary>
    public async Task StopAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        _listener?.Dispose();
        await _accepting.ConfigureAwait(false);
        _abort.CancelAfter(StopGrace);
        await Task.WhenAll(_connections.Values).ConfigureAwait(false);
        File.Delete(path);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        _stopping.Dispose();
        _abort.Dispose();
    }

    private async Task AcceptAllAsync(Socket listener)
    {
        while (!_stopping.IsCancellationRequested)
        {
            try
            {
                var socket = await listener.AcceptAsync(_stopping.Token).ConfigureAwait(false);
                Take(socket);
            }
            catch (Exception e) when (_stopping.IsCancellationRequested
                && e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                return;
            }
            catch (Exception e)
            {
                await PauseAsync(e).ConfigureAwait(false);
            }
        }
    }

    // Out of descriptors, most likely, and nothing announces when there is one again.
    private async Task PauseAsync(Exception exception)
    {
        logger.AcceptFailed(exception);

        // A failed accept would fail again at once: this keeps it from spinning.
        await Task.Delay(TimeSpan.FromSeconds(1), _stopping.Token)
            .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void Take(Socket socket)
    {
        if (_connections.Count >= maxConnections)
        {
            Refuse(socket);
            return;
        }

        long id = ++_lastId;
        var finished = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _connections[id] = finished.Task;
        var connection = new RequestConnection(socket, dispatcher, _troubles, _stopping.Token);
        _ = Task.Run(() => RunAsync(connection, id, finished));
    }

    private async Task RunAsync(
        RequestConnection connection, long id, TaskCompletionSource finished)
    {
        try
        {
            await connection.RunAsync(_abort.Token).ConfigureAwait(false);
        }
        finally
        {
            _connections.TryRemove(id, out _);
            finished.SetResult();
        }
    }

    private void Refuse(Socket socket)
    {
        if (_refused.ShouldReport(out long count))
            logger.ConnectionsRefused(count, maxConnections);
        using (socket)
        using (var response = new ResponseBuilder(dispatcher.Budget))
        {
            response.Begin(0);
            response.Error(TooManyConnections());

            // It fits into an empty socket buffer; a client that has gone already is no matter.
            socket.Blocking = false;
            socket.Send(response.Finish().Span, SocketFlags.None, out _);
        }
    }

    private PgraftException TooManyConnections() => new(
        StatusCode.Busy,
        "too many connections",
        string.Create(CultureInfo.InvariantCulture, $"The limit is {maxConnections}."));

    private static void CheckPath(string path)
    {
        int bytes = Encoding.UTF8.GetByteCount(path);
        if (bytes > MaxPathBytes)
        {
            throw new PgraftException(
                StatusCode.BadArgument,
                $"the path of the request socket \"{path}\" is too long",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"It has {bytes} bytes; the limit is {MaxPathBytes} bytes."),
                "Set pgraft.data_dir to a shorter path.");
        }
    }
}
