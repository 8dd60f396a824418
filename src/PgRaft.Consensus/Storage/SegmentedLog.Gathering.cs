// Entries that wait for others before they are written: a leader with many clients would otherwise
// sync several times a round, each time for the few that came during the last sync, and none of
// them can be committed before the next round has carried it to the followers.
//
// Why it is hard: a gathered entry is on no disk, and nobody may wait for it in vain. So whatever
// else is written takes it along, whoever waits for it has it written, and so has closing.
//
// Threading: as Append. Failure: none of its own.
namespace PgRaft.Consensus.Storage;

public sealed partial class SegmentedLog
{
    private const long NothingGathers = long.MaxValue;

    // From this index on entries gather, if they are not written yet. Under _gate.
    private long _gathersFrom = NothingGathers;

    /// <summary>Entries that gather are written now, all of them together.</summary>
    public void WriteGathered()
    {
        if (Volatile.Read(ref _gathersFrom) == NothingGathers)
        {
            return;
        }

        bool wasIdle;
        lock (_gate)
        {
            _gathersFrom = NothingGathers;
            wasIdle = TakeIdle();
        }

        WakeIf(wasIdle);
    }
}
