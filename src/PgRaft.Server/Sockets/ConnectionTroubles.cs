// Counts and reports what goes wrong with connections, so that a client cannot flood the log.
// Threading: any connection. Failure: none.
using System.Net.Sockets;

using Microsoft.Extensions.Logging;

using PgRaft.Server.Logging;

namespace PgRaft.Server.Sockets;

internal sealed class ConnectionTroubles(ILogger logger)
{
    private readonly RateLimit _malformed = new(TimeSpan.FromMinutes(1));

    public long MalformedFrames => _malformed.Total;

    /// <summary>To be called with the exception that ended a connection.</summary>
    public void Report(Exception exception)
    {
        switch (exception)
        {
            case InvalidDataException:
                if (_malformed.ShouldReport(out long count))
                    logger.MalformedFrames(count, exception.Message);
                break;
            case IOException or SocketException or OperationCanceledException:
                // The client has gone, or the server stops: nothing to tell anybody.
                break;
            default:
                logger.ConnectionFailed(exception);
                break;
        }
    }
}
