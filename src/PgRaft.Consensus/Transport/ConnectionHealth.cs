// Says once that a member cannot be reached and once that it can again, not at every attempt.
// Threading: any thread. Failure: none.
using Microsoft.Extensions.Logging;

namespace PgRaft.Consensus.Transport;

/// <summary>Whether the connections to one member work, for the log.</summary>
internal sealed partial class ConnectionHealth(MemberAddress member, ILogger logger)
{
    private int _failing;
    private volatile string? _lastError;

    /// <summary>Why the last attempt failed; null while all is well.</summary>
    public string? LastError => _lastError;

    /// <summary>A connection could not be made, or broke.</summary>
    public void Failed(string reason)
    {
        _lastError = reason;
        if (Interlocked.Exchange(ref _failing, 1) == 0)
        {
            LogFailed(logger, member.NodeId, member.Host, member.Port, reason);
        }
    }

    /// <summary>A connection was made.</summary>
    public void Restored()
    {
        _lastError = null;
        if (Interlocked.Exchange(ref _failing, 0) == 1)
        {
            LogRestored(logger, member.NodeId, member.Host, member.Port);
        }
    }

    [LoggerMessage(201, LogLevel.Warning,
        "connection to node {NodeId} at {Host}:{Port} failed: {Reason}")]
    private static partial void LogFailed(
        ILogger logger, int nodeId, string host, int port, string reason);

    [LoggerMessage(202, LogLevel.Information,
        "connection to node {NodeId} at {Host}:{Port} restored")]
    private static partial void LogRestored(ILogger logger, int nodeId, string host, int port);
}
