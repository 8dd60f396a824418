// One client's connection: requests in order, one at a time. While a request runs the next frame is
// already awaited, which is how the client's going is noticed: it cancels the request.
// A client that shuts down its sending side counts as gone.
// Threading: one task. Failure: ends this connection only, and is reported once it matters.
using System.Net.Sockets;

using PgRaft.Core;
using PgRaft.Server.Protocol;
using PgRaft.Server.Requests;

namespace PgRaft.Server.Sockets;

internal sealed class RequestConnection(
    Socket socket,
    RequestDispatcher dispatcher,
    ConnectionTroubles troubles,
    CancellationToken stopping)
{
    /// <summary>Serves until the client goes, sends what is no frame, or the server stops. Never
    /// throws.</summary>
    /// <param name="abort">Cancelled when even an answer on its way has had its time.</param>
    public async Task RunAsync(CancellationToken abort)
    {
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: true);
            using var gone = new CancellationTokenSource();
            using var reader = new FrameReader(stream, dispatcher.Budget);
            using var response = new ResponseBuilder(dispatcher.Budget);
            await ServeAsync(stream, reader, response, gone, abort).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            troubles.Report(e);
        }
    }

    private async Task ServeAsync(
        NetworkStream stream,
        FrameReader reader,
        ResponseBuilder response,
        CancellationTokenSource gone,
        CancellationToken abort)
    {
        var next = ReadAsync(reader, gone);
        try
        {
            while (await FrameAsync(next, stream, reader, response, abort).ConfigureAwait(false)
                is { } body)
            {
                next = ReadAsync(reader, gone);

                // This may be the thread that serves all sockets (InlineCompletions).
                if (!RequestCodes.IsQuick(RequestHeader.Read(body.Span).Code))
                    await Task.Yield();
                var answer = await dispatcher.ExecuteAsync(
                    body, response, frame => stream.WriteAsync(frame, abort), gone.Token)
                    .ConfigureAwait(false);
                await stream.WriteAsync(answer, abort).ConfigureAwait(false);
            }
        }
        finally
        {
            // Ends a read that is pending, which must not outlive the buffers it reads into.
            await stream.DisposeAsync().ConfigureAwait(false);
            await ((Task)next).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // The next frame; at the end of the connection a request that is running is cancelled. Nobody
    // but the loop waits for it: of two that wait for one task, one is handed to another thread.
    private async Task<ReadOnlyMemory<byte>?> ReadAsync(
        FrameReader reader, CancellationTokenSource gone)
    {
        bool isGone = true;
        try
        {
            var frame = await reader.ReadAsync(stopping).ConfigureAwait(false);
            isGone = frame is null;
            return frame;
        }
        catch (Exception) when (stopping.IsCancellationRequested)
        {
            isGone = false;
            throw;
        }
        finally
        {
            if (isGone)
                await gone.CancelAsync().ConfigureAwait(false);
        }
    }

    // The memory budget may be spent before a large frame is in: that much can still be answered.
    private static async Task<ReadOnlyMemory<byte>?> FrameAsync(
        Task<ReadOnlyMemory<byte>?> next,
        NetworkStream stream,
        FrameReader reader,
        ResponseBuilder response,
        CancellationToken abort)
    {
        try
        {
            return await next.ConfigureAwait(false);
        }
        catch (PgraftException e)
        {
            response.Begin(reader.PartialRequestId);
            response.Error(e);
            await stream.WriteAsync(response.Finish(), abort).ConfigureAwait(false);
            return null;
        }
    }
}
