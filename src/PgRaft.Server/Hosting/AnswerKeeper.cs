// Since when the three questions of a failover manager have the answers they have.
//
// An answer changes in two ways: by what the node says, and by the end of what it has said, at
// which nobody writes. So before a new picture takes the place of the last one, what had become of
// that is worked out, from end to end; and only an answer that is another than then begins now.
// Whoever reads the picture later does the same with the times that it carries (shim/answers.c).
//
// Ends are on the monotonic clock, times are told by the clock on the wall: each picture has the
// difference of the two at its writing, so that whoever reads it twice reads the same.
// Threading: one caller at a time. Failure: none.
using PgRaft.Consensus;
using PgRaft.Consensus.Leadership;

namespace PgRaft.Server.Hosting;

/// <summary>When a picture was written, and since when its answers are what they were then. Since:
/// Unix time in microseconds; 0 = not known.</summary>
internal readonly record struct AnswerTimes(
    long WrittenNs, long WallOffsetNs, long QuorumSinceUs, long LiveMembersSinceUs,
    long MayActSinceUs)
{
    /// <summary>A moment of the monotonic clock as Unix time in microseconds.</summary>
    public long WallUs(long ns) => (ns + WallOffsetNs) / 1000;
}

/// <param name="clock">The clock of the ends, and the one on the wall.</param>
/// <param name="atStart">Since when all answers have been unknown.</param>
internal sealed class AnswerKeeper(TimeProvider clock, AnswerTimes atStart)
{
    private const long Unknown = -1;
    private Picture _last = new(WorkerState.Starting, new NodeStatus(), atStart);

    private delegate long Question(Picture picture, long nowNs);

    /// <summary>A picture that is about to be shown.</summary>
    public AnswerTimes Note(WorkerState state, NodeStatus node)
    {
        var moment = Moment.Of(clock);
        long offsetNs = UnixNs(moment.Wall) - Ns(moment.Timestamp);

        // Looked at last: an end that has come by now must not be taken for one to come.
        var times = new AnswerTimes(Ns(clock.GetTimestamp()), offsetNs, 0, 0, 0);
        var next = new Picture(state, node, times);
        times = times with
        {
            QuorumSinceUs = SinceUs(_last, next, Quorum, _last.Times.QuorumSinceUs),
            LiveMembersSinceUs = SinceUs(_last, next, Live, _last.Times.LiveMembersSinceUs),
            MayActSinceUs = SinceUs(_last, next, MayAct, _last.Times.MayActSinceUs),
        };
        _last = new Picture(state, node, times);
        return times;
    }

    private static long SinceUs(Picture last, Picture next, Question ask, long sinceUs)
    {
        long nowNs = next.Times.WrittenNs;
        long value = ask(last, last.Times.WrittenNs);
        long leaderEnd = Questions.LeaderEndNs(last.Node);
        long quorumEnd = last.Node.NoQuorumDeadlineNs;
        Span<long> ends = [Math.Min(leaderEnd, quorumEnd), Math.Max(leaderEnd, quorumEnd)];
        foreach (long end in ends)
        {
            bool isOver = last.Times.WrittenNs < end && end <= nowNs;
            if (isOver && ask(last, end) is var after && after != value)
                (value, sinceUs) = (after, last.Times.WallUs(end));
        }

        return ask(next, nowNs) == value ? sinceUs : next.Times.WallUs(nowNs);
    }

    private static long Quorum(Picture picture, long nowNs) =>
        Number(Questions.HasQuorum(picture.State, picture.Node, nowNs));

    private static long MayAct(Picture picture, long nowNs) =>
        Number(Questions.MayAct(picture.State, picture.Node, nowNs));

    // Others may be alive now, and as many as before.
    private static long Live(Picture picture, long nowNs) =>
        Questions.LiveMembers(picture.State, picture.Node, nowNs) is null
            ? Unknown
            : picture.Node.LiveMembersSinceNs;

    private static long Number(bool? answer) => answer is { } known ? (known ? 1 : 0) : Unknown;

    private long Ns(long timestamp) =>
        (long)(timestamp * (1_000_000_000.0m / clock.TimestampFrequency));

    private static long UnixNs(DateTimeOffset wall) =>
        (wall - DateTimeOffset.UnixEpoch).Ticks * 100;

    private readonly record struct Picture(
        WorkerState State, NodeStatus Node, AnswerTimes Times);
}
