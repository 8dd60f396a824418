// The server's log messages, with their event ids (2000 to 2099), in one place.
// Threading: any thread. Failure: none.
using Microsoft.Extensions.Logging;

namespace PgRaft.Server.Logging;

internal static partial class ServerLog
{
    [LoggerMessage(2000, LogLevel.Information,
        "node {NodeId} of cluster {ClusterId} is starting, pgraft {Version}")]
    public static partial void Starting(
        this ILogger logger, int nodeId, string clusterId, string version);

    [LoggerMessage(2001, LogLevel.Information, "node {NodeId} is {State}")]
    public static partial void StateChanged(this ILogger logger, int nodeId, string state);

    // For whoever wants the exception: the worker's main thread reports the failure itself, with
    // the text of the published state.
    [LoggerMessage(2002, LogLevel.Debug, "the node has failed")]
    public static partial void NodeFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2003, LogLevel.Warning, "stopping did not go smoothly")]
    public static partial void StopFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2004, LogLevel.Information, "node {NodeId} has stopped")]
    public static partial void Stopped(this ILogger logger, int nodeId);

    [LoggerMessage(2010, LogLevel.Debug, "accepting requests at {Path}")]
    public static partial void Listening(this ILogger logger, string path);

    [LoggerMessage(2011, LogLevel.Warning, "accepting a connection failed")]
    public static partial void AcceptFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2012, LogLevel.Warning, "refused {Count} connections: {Limit} are open already")]
    public static partial void ConnectionsRefused(this ILogger logger, long count, int limit);

    [LoggerMessage(2013, LogLevel.Warning,
        "closed {Count} connections to the request socket that sent no valid frame, "
        + "the last because {Reason}")]
    public static partial void MalformedFrames(this ILogger logger, long count, string reason);

    [LoggerMessage(2014, LogLevel.Error, "a connection to the request socket failed")]
    public static partial void ConnectionFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2015, LogLevel.Error, "request {Code} failed unexpectedly")]
    public static partial void RequestFailed(this ILogger logger, Exception exception, int code);

    [LoggerMessage(2020, LogLevel.Debug, "compacting history before revision {Revision}")]
    public static partial void Compacting(this ILogger logger, long revision);

    [LoggerMessage(2021, LogLevel.Debug, "automatic compaction did not go through")]
    public static partial void CompactionFailed(this ILogger logger, Exception exception);

    [LoggerMessage(2050, LogLevel.Information, "serving HTTP at {Address}:{Port}")]
    public static partial void HttpListening(this ILogger logger, string address, int port);

    [LoggerMessage(2051, LogLevel.Information, "serving no HTTP at {Address}:{Port} any more")]
    public static partial void HttpStopped(this ILogger logger, string address, int port);

    [LoggerMessage(2052, LogLevel.Warning,
        "cannot serve HTTP at {Address}:{Port}: {Reason} (tried again every few seconds; see "
        + "pgraft.metrics_address and pgraft.metrics_port)")]
    public static partial void HttpNotListening(
        this ILogger logger, string address, int port, string reason);

    [LoggerMessage(2053, LogLevel.Warning, "the HTTP request for {Path} failed")]
    public static partial void HttpFailed(this ILogger logger, Exception exception, string path);

    // The failure is part of the text, so that its stack is there without debugging: nobody else
    // reports it.
    [LoggerMessage(2040, LogLevel.Error, "a task failed that nobody waited for: {Failure}")]
    public static partial void TaskFailed(this ILogger logger, object failure);

    [LoggerMessage(2041, LogLevel.Debug, "a task ended that nobody waited for: {Failure}")]
    public static partial void TaskEnded(this ILogger logger, object failure);
}
