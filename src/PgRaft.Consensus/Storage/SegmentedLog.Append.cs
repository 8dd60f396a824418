// Taking entries in: at the end (leader) or where the leader says (follower), and cutting off what
// they contradict. Memory only; the writer follows.
// Threading: all state under _gate. Failure: arguments are checked before anything is changed.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

public sealed partial class SegmentedLog
{
    // Fewer are copied before another thread could wake.
    private const int EarlyWakeRecords = 8;

    /// <summary>Adds an entry after the last. Returns at once; it is durable when
    /// <see cref="WaitDurableAsync"/> says so.</summary>
    /// <param name="term">Not less than the last entry's.</param>
    /// <param name="kind">What the payload is.</param>
    /// <param name="payload">Copied. At most <see cref="LogOptions.MaxPayloadBytes"/>.</param>
    /// <param name="gathers">It need not be written before <see cref="WriteGathered"/> is called or
    /// somebody waits for it.</param>
    /// <returns>The entry's index.</returns>
    /// <exception cref="InvariantViolatedException">The term goes back.</exception>
    /// <exception cref="PgraftException">Storage has failed, or the log is closed;
    /// <see cref="StatusCode.TooLarge"/>.</exception>
    public long Append(
        long term, EntryKind kind, ReadOnlySpan<byte> payload, bool gathers = false)
    {
        RequireSize(payload.Length);
        byte[] copy = payload.ToArray();
        long index;
        bool wasIdle;
        lock (_gate)
        {
            ThrowIfUnusable();
            index = _lastIndex + 1;
            Invariants.TermsInOrder(index, term, _terms.TermAt(_lastIndex));
            AddLast(new LogRecord(index, term, kind, copy));
            _gathersFrom = gathers ? Math.Min(_gathersFrom, index) : NothingGathers;
            wasIdle = !gathers && TakeIdle();
        }

        WakeIf(wasIdle);
        return index;
    }

    /// <summary>
    /// Makes the log agree with a leader's entries: those present with the same term are skipped,
    /// at the first that differs the rest of the log is cut off, the new ones are added. Entries
    /// below <see cref="FirstIndex"/> are covered by a snapshot and skipped. Returns at once. On
    /// disk the cut and the first new entry are one record, so no crash mixes old and new.
    /// </summary>
    /// <param name="records">Contiguous, terms not decreasing, starting no later than
    /// <see cref="LastIndex"/> + 1. Payloads are copied.</param>
    /// <exception cref="ArgumentException">Not contiguous, or starting beyond the end.</exception>
    /// <exception cref="InvariantViolatedException">They contradict what the snapshot covers, or
    /// terms go back. Nothing was changed.</exception>
    /// <exception cref="PgraftException">Storage has failed, or the log is closed;
    /// <see cref="StatusCode.TooLarge"/>.</exception>
    public void AppendRange(ReadOnlySpan<LogRecord> records)
    {
        RequireContiguous(records);
        WakeEarly(records);
        bool wasIdle;
        lock (_gate)
        {
            ThrowIfUnusable();
            records = records[CountPresent(records)..];
            if (records.IsEmpty)
            {
                return;
            }

            LogRecord first = records[0];
            Invariants.TermsInOrder(first.Index, first.Term, _terms.TermAt(first.Index - 1));
            _gathersFrom = NothingGathers;
            CutFrom(first.Index);
            var copies = new PayloadCopies(records);
            foreach (ref readonly LogRecord record in records)
            {
                AddLast(record with { Payload = copies.Add(record.Payload.Span) });
            }

            wasIdle = TakeIdle();
        }

        WakeIf(wasIdle);
    }

    // The writer takes as long to wake as a batch takes to copy. If it comes too early, it sleeps
    // again and is woken once more.
    private void WakeEarly(ReadOnlySpan<LogRecord> records)
    {
        if (records.Length < EarlyWakeRecords)
        {
            return;
        }

        bool wasIdle;
        lock (_gate)
        {
            wasIdle = TakeIdle();
        }

        WakeIf(wasIdle);
    }

    private static void RequireSize(int payloadBytes)
    {
        if (payloadBytes > LogOptions.MaxPayloadBytes)
        {
            throw new PgraftException(
                StatusCode.TooLarge,
                $"log entry of {payloadBytes} bytes exceeds {LogOptions.MaxPayloadBytes} bytes");
        }
    }

    private static void RequireContiguous(ReadOnlySpan<LogRecord> records)
    {
        for (int i = 0; i < records.Length; i++)
        {
            ref readonly LogRecord record = ref records[i];
            RequireSize(record.Payload.Length);
            if (i == 0)
            {
                continue;
            }

            ref readonly LogRecord before = ref records[i - 1];
            Invariants.TermsInOrder(record.Index, record.Term, before.Term);
            if (record.Index != before.Index + 1)
            {
                throw new ArgumentException(
                    $"index {record.Index} follows {before.Index}", nameof(records));
            }
        }
    }

    // How many of the records, from the first, the log or its snapshot already holds.
    private int CountPresent(ReadOnlySpan<LogRecord> records)
    {
        int present = 0;
        while (present < records.Length && IsPresent(records[present]))
        {
            present++;
        }

        if (present < records.Length && records[present].Index > _lastIndex + 1)
        {
            throw new ArgumentException(
                $"index {records[present].Index} does not follow {_lastIndex}", nameof(records));
        }

        return present;
    }

    private bool IsPresent(in LogRecord record)
    {
        if (record.Index > _lastIndex)
        {
            // Whatever is compacted ends before the last; an empty log ends at its base.
            return false;
        }

        if (record.Index < _firstIndex - 1)
        {
            return true;
        }

        long term = _terms.TermAt(record.Index);
        if (record.Index < _firstIndex)
        {
            // The snapshot's last entry is committed.
            Invariants.LeaderCompleteness(record.Index, term, record.Term);
        }

        return term == record.Term;
    }

    // Entries from the index on are replaced. What the writer has in hand no longer counts.
    private void CutFrom(long index)
    {
        if (index > _lastIndex)
        {
            return;
        }

        _chain.TruncateFrom(index);
        _terms.TruncateFrom(index);
        _recent.TruncateFrom(index);
        _nextToWrite = Math.Min(_nextToWrite, index);
        _inFlightEnd = Math.Min(_inFlightEnd, index - 1);
        _pendingCut = Math.Min(_pendingCut, index);
        _waiters.FailFrom(index, Replaced);
        Volatile.Write(ref _durableIndex, Math.Min(_durableIndex, index - 1));
        Volatile.Write(ref _lastIndex, index - 1);
    }

    private void AddLast(in LogRecord record)
    {
        _recent.Add(record);
        _terms.Append(record.Index, record.Term);
        Volatile.Write(ref _lastIndex, record.Index);
    }
}
