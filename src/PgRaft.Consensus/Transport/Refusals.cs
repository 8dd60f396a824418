// Says once that a member is refused for its version, and once that it is accepted again: it knocks
// many times a second, for as long as it is not mended.
//
// Whoever imitates hellos can make this write, but not much: a line a second.
// Threading: any thread. Failure: none.
using Microsoft.Extensions.Logging;

namespace PgRaft.Consensus.Transport;

/// <summary>Members whose connections are refused, for the log.</summary>
internal sealed partial class Refusals(ILogger logger)
{
    private const int MaxNodes = 64;
    private const int PauseMs = 1000;
    private readonly Lock _gate = new();
    private readonly Dictionary<int, string> _reasons = [];
    private long _quietUntil;

    /// <summary>A connection of a node was refused.</summary>
    public void Refused(int nodeId, string from, string reason)
    {
        lock (_gate)
        {
            long now = Environment.TickCount64;
            bool isKnown = _reasons.TryGetValue(nodeId, out string? known);
            if (known == reason || now < _quietUntil || (!isKnown && _reasons.Count >= MaxNodes))
            {
                return;
            }

            _reasons[nodeId] = reason;
            _quietUntil = now + PauseMs;
        }

        LogRefused(logger, nodeId, from, reason);
    }

    /// <summary>A connection of a node was accepted.</summary>
    public void Accepted(int nodeId)
    {
        lock (_gate)
        {
            if (!_reasons.Remove(nodeId))
            {
                return;
            }
        }

        LogAccepted(logger, nodeId);
    }

    [LoggerMessage(
        204, LogLevel.Warning, "node {NodeId} is refused, calling from {From}: {Reason}")]
    private static partial void LogRefused(
        ILogger logger, int nodeId, string from, string reason);

    [LoggerMessage(205, LogLevel.Information, "node {NodeId} is no longer refused")]
    private static partial void LogAccepted(ILogger logger, int nodeId);
}
