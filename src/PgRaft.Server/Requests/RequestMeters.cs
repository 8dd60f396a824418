// Counts the requests of this server's sessions by kind and outcome, and those that other members
// passed on. Threading: any thread, lock-free. Failure: a code beyond the table counts as unknown.
using PgRaft.Consensus.Metrics;
using PgRaft.Server.Protocol;

namespace PgRaft.Server.Requests;

internal enum RequestOutcome
{
    Ok = 0,

    /// <summary>Answered with an error, by which nothing was changed.</summary>
    Error = 1,

    /// <summary>Answered that the outcome is not known.</summary>
    Unknown = 2,
}

internal sealed class RequestMeters
{
    private const int Codes = 64;
    private const int Outcomes = 3;

    private readonly Meter[] _counts =
        [.. Enumerable.Range(0, Codes * Outcomes).Select(_ => new Meter())];

    /// <summary>Requests that another member passed on to this one.</summary>
    public Meter Forwarded { get; } = new();

    /// <summary>Time of requests that may change something.</summary>
    public LatencyHistogram Writes { get; } = new();

    /// <summary>Time of all others.</summary>
    public LatencyHistogram Reads { get; } = new();

    public long Count(RequestCode code, RequestOutcome outcome) =>
        _counts[Slot(code, outcome)].Value;

    /// <summary>Counts a request that has been answered.</summary>
    public void Answered(
        RequestContext context, RequestOutcome outcome, long startTimestamp)
    {
        Count(context.Header.Code, context.IsForwarded, outcome);
        if (!context.IsForwarded)
            (context.IsWrite ? Writes : Reads).RecordSince(startTimestamp);
    }

    /// <summary>Counts a request that was refused before it was looked at; it took no time.
    /// </summary>
    public void Refused(RequestCode code, bool isForwarded) =>
        Count(code, isForwarded, RequestOutcome.Error);

    private void Count(RequestCode code, bool isForwarded, RequestOutcome outcome) =>
        (isForwarded ? Forwarded : _counts[Slot(code, outcome)]).Increment();

    private static int Slot(RequestCode code, RequestOutcome outcome) =>
        ((int)code is > 0 and < Codes ? (int)code * Outcomes : 0) + (int)outcome;
}
