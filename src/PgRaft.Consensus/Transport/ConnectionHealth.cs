// Says once that a member cannot be reached, once that it refuses and why, and once that it is
// back, not at every attempt.
// Threading: any thread. Failure: none.
using Microsoft.Extensions.Logging;

namespace PgRaft.Consensus.Transport;

/// <summary>Whether the connections to one member work, for the log.</summary>
internal sealed partial class ConnectionHealth(MemberAddress member, ILogger logger)
{
    private readonly Lock _gate = new();
    private string? _refusal;
    private bool _failing;
    private long _failingSinceMs;
    private int _failures;
    private volatile string? _lastError;

    /// <summary>Called when the connections begin to fail; must not block.</summary>
    public Action? Broke { get; init; }

    /// <summary>Why the last attempt failed; null while all is well.</summary>
    public string? LastError => _lastError;

    /// <summary>How often a connection could not be made, or broke.</summary>
    public int Failures => Volatile.Read(ref _failures);

    /// <summary>A connection could not be made, or broke.</summary>
    public void Failed(string reason)
    {
        Count(reason);
        lock (_gate)
        {
            if (_failing && _refusal is null)
            {
                return;
            }

            Begin(null);
        }

        Say(reason);
    }

    /// <summary>The member answered, and the two cannot work together. Another state than a member
    /// that is away, which it usually was just before.</summary>
    public void Refused(string reason)
    {
        Count(reason);
        lock (_gate)
        {
            if (_refusal == reason)
            {
                return;
            }

            Begin(reason);
        }

        Say(reason);
    }

    /// <summary>A connection was made.</summary>
    public void Restored()
    {
        _lastError = null;
        double seconds;
        lock (_gate)
        {
            if (!_failing)
            {
                return;
            }

            _failing = false;
            _refusal = null;
            seconds = (Environment.TickCount64 - _failingSinceMs) / 1000.0;
        }

        LogRestored(logger, member.NodeId, member.Host, member.Port, seconds);
    }

    // Under the lock. A reason that follows another does not begin the failure anew.
    private void Begin(string? refusal)
    {
        if (!_failing)
        {
            _failingSinceMs = Environment.TickCount64;
        }

        _failing = true;
        _refusal = refusal;
    }

    private void Count(string reason)
    {
        _lastError = reason;
        Interlocked.Increment(ref _failures);
    }

    private void Say(string reason)
    {
        LogFailed(logger, member.NodeId, member.Host, member.Port, reason);
        Broke?.Invoke();
    }

    [LoggerMessage(201, LogLevel.Warning,
        "connection to node {NodeId} at {Host}:{Port} failed: {Reason}")]
    private static partial void LogFailed(
        ILogger logger, int nodeId, string host, int port, string reason);

    [LoggerMessage(202, LogLevel.Information,
        "connection to node {NodeId} at {Host}:{Port} restored after {Seconds:F1} s")]
    private static partial void LogRestored(
        ILogger logger, int nodeId, string host, int port, double seconds);
}
