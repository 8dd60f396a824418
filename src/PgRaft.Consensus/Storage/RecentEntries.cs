// The newest entries, in memory: those not yet on disk, and behind them as many as fit the budget,
// so that replication and applying rarely read the disk.
// Threading: the owner's lock. Failure: none.
namespace PgRaft.Consensus.Storage;

/// <remarks><i>Invariant</i>: holds exactly the entries First..First+Count-1, contiguous up to the
/// log's last.</remarks>
internal sealed class RecentEntries
{
    private const int EntryOverheadBytes = 96;
    private const int InitialCapacity = 64;

    private LogRecord[] _ring = new LogRecord[InitialCapacity];
    private int _head;

    internal long First { get; private set; } = 1;

    internal int Count { get; private set; }

    internal long Bytes { get; private set; }

    internal ref readonly LogRecord this[long index] => ref _ring[Slot(index)];

    internal bool Holds(long index) => index >= First && index < First + Count;

    internal void Reset(long nextIndex)
    {
        _ring = new LogRecord[InitialCapacity];
        _head = 0;
        Count = 0;
        Bytes = 0;
        First = nextIndex;
    }

    internal void Add(in LogRecord record)
    {
        if (Count == _ring.Length)
        {
            Grow();
        }

        _ring[Slot(First + Count)] = record;
        Count++;
        Bytes += SizeOf(record);
    }

    internal void TruncateFrom(long index)
    {
        if (index <= First)
        {
            Reset(index);
            return;
        }

        while (First + Count > index)
        {
            Count--;
            Clear(First + Count);
        }
    }

    // Drops the oldest while the budget is exceeded and they are not beyond durableIndex.
    internal void Evict(long budgetBytes, long durableIndex)
    {
        while (Count > 0 && Bytes > budgetBytes && First <= durableIndex)
        {
            Clear(First);
            _head = (_head + 1) & (_ring.Length - 1);
            First++;
            Count--;
        }
    }

    private static int SizeOf(in LogRecord record) => record.Payload.Length + EntryOverheadBytes;

    // The capacity is a power of two.
    private int Slot(long index) => (_head + (int)(index - First)) & (_ring.Length - 1);

    private void Clear(long index)
    {
        ref LogRecord slot = ref _ring[Slot(index)];
        Bytes -= SizeOf(slot);
        slot = default;
    }

    private void Grow()
    {
        var larger = new LogRecord[_ring.Length * 2];
        for (int i = 0; i < Count; i++)
        {
            larger[i] = _ring[(_head + i) & (_ring.Length - 1)];
        }

        _ring = larger;
        _head = 0;
    }
}
