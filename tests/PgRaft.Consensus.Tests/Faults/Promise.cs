// What a member has promised to others by its answers: a term, a vote, entries, a snapshot. None of
// it may be gone after a power failure.
// Threading: one task. Failure: assertions that name the broken promise.
using PgRaft.Consensus.Engine;
using PgRaft.Consensus.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class Promise
{
    private readonly SortedDictionary<long, LogRecord> _entries = [];

    public long Term { get; private set; }

    public int Vote { get; private set; }

    /// <summary>Votes that it gave.</summary>
    public int Votes { get; private set; }

    public long LastIndex { get; private set; }

    /// <summary>Term of the entry at <see cref="LastIndex"/>.</summary>
    public long LastTerm { get; private set; }

    /// <summary>Last index of the newest snapshot it has installed.</summary>
    public long SnapshotIndex { get; private set; }

    /// <summary>It answered in a term, and gave a vote, or 0.</summary>
    public void Saw(long term, int vote)
    {
        Vote = term > Term ? vote : Math.Max(Vote, vote);
        Votes += vote == 0 ? 0 : 1;
        Term = Math.Max(Term, term);
    }

    /// <summary>It acknowledged entries, and thereby that what it had from the first of them on is
    /// gone.</summary>
    public void Acknowledged(IReadOnlyList<LogRecord> records)
    {
        foreach (long replaced in _entries.Keys.Where(i => i >= records[0].Index).ToArray())
        {
            _entries.Remove(replaced);
        }

        foreach (var record in records)
        {
            _entries.Add(record.Index, record);
            (LastIndex, LastTerm) = (record.Index, record.Term);
        }
    }

    /// <summary>It acknowledged a snapshot.</summary>
    public void Installed(long index, long term)
    {
        SnapshotIndex = index;
        if (index > LastIndex)
        {
            _entries.Clear();
            (LastIndex, LastTerm) = (index, term);
        }
    }

    /// <summary>What a member has after its restart keeps the promise.</summary>
    public void RequireKept(EngineLog log, string when)
    {
        Assert.True(log.Term >= Term, $"{when}: the term went back from {Term} to {log.Term}");
        bool keptVote = log.Term > Term || Vote == 0 || log.VotedFor == Vote;
        Assert.True(keptVote, $"{when}: the vote for {Vote} in term {Term} is lost");
        long last = log.Records.LastIndex;
        Assert.True(last >= LastIndex, $"{when}: of {LastIndex} entries {last} are left");
        var found = new List<LogRecord>();
        log.Records.Read(log.Records.FirstIndex, int.MaxValue, int.MaxValue, found);
        foreach (var record in found)
        {
            bool isOther = _entries.TryGetValue(record.Index, out var promised)
                && (promised.Term != record.Term || promised.Kind != record.Kind
                    || !promised.Payload.Span.SequenceEqual(record.Payload.Span));
            Assert.False(isOther, $"{when}: entry {record.Index} is another");
        }
    }
}
