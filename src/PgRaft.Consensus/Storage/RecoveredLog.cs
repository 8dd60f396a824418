// What recovery found: the log's state as the records on disk spell it.
// Threading: one thread, before the log is shared. Failure: Add throws when a record cannot follow
// the ones before it.
namespace PgRaft.Consensus.Storage;

internal sealed class RecoveredLog
{
    internal SegmentChain Chain { get; } = new();

    internal TermRuns Terms { get; } = new();

    internal long FirstIndex { get; private set; }

    internal long LastIndex { get; private set; }

    internal long NextSegmentId { get; set; } = 1;

    internal bool IsEmptyChain => Chain.All.Count == 0;

    // Takes the segment as the newest; the first one says where the log begins.
    internal void Push(Segment segment)
    {
        if (IsEmptyChain)
        {
            Begin(segment.Header.FirstIndex, segment.Header.PrevTerm);
        }

        Chain.Push(segment);
    }

    internal void Add(Segment segment, long offset, in RecordHeader record)
    {
        Position(segment, offset, record);
        segment.Add(record.Index, (uint)offset);
        Terms.Append(record.Index, record.Term);
        LastIndex = record.Index;
    }

    // Makes the record's index the next one: superseding what stands there, as the writer did.
    private void Position(Segment segment, long offset, in RecordHeader record)
    {
        bool holdsNothing = LastIndex < FirstIndex;
        if (record.Index < FirstIndex || (holdsNothing && record.Index != FirstIndex))
        {
            // The entries before it were compacted away, or none is left before it: the record
            // itself says what it follows.
            Chain.TruncateFrom(0);
            Begin(record.Index, record.PrevTerm);
            return;
        }

        if (record.Index > LastIndex + 1)
        {
            throw StorageErrors.Damaged(
                segment.File.Path, offset, $"index {record.Index} follows index {LastIndex}");
        }

        Chain.TruncateFrom(record.Index);
        Terms.TruncateFrom(record.Index);
        LastIndex = record.Index - 1;
        long prevTerm = Terms.TermAt(LastIndex);
        if (prevTerm != record.PrevTerm)
        {
            throw StorageErrors.Damaged(
                segment.File.Path,
                offset,
                $"index {record.Index} follows term {record.PrevTerm}, not {prevTerm}");
        }
    }

    private void Begin(long firstIndex, long prevTerm)
    {
        FirstIndex = firstIndex;
        LastIndex = firstIndex - 1;
        Terms.Reset(firstIndex - 1, prevTerm);
    }
}
