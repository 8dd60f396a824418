// What the log keeps beyond its own measure, for members that were sent a snapshot: without the
// entries that follow it, one that was longer under way than the next one took to write would be
// sent that one, and so on for as long as the writes last.
// Threading: any thread. Failure: none.
namespace PgRaft.Consensus.Apply;

/// <summary>Which entries members still wait for.</summary>
internal sealed class LogRetention
{
    private readonly Lock _gate = new();
    private readonly List<Hold> _holds = [];

    /// <summary>First index that somebody waits for; <see cref="long.MaxValue"/> = nobody.
    /// </summary>
    public long First
    {
        get
        {
            lock (_gate)
            {
                long first = long.MaxValue;
                foreach (var hold in _holds)
                {
                    first = Math.Min(first, hold.From);
                }

                return first;
            }
        }
    }

    /// <summary>Keeps the entries from an index on, until the result is disposed of.</summary>
    public Hold Keep(long from)
    {
        var hold = new Hold(this, from);
        lock (_gate)
        {
            _holds.Add(hold);
        }

        return hold;
    }

    /// <summary>Nothing is kept any more: another term has begun.</summary>
    public void EndAll()
    {
        lock (_gate)
        {
            _holds.Clear();
        }
    }

    /// <summary>Entries kept for one member.</summary>
    public sealed class Hold : IDisposable
    {
        private readonly LogRetention _owner;

        internal Hold(LogRetention owner, long from)
        {
            _owner = owner;
            From = from;
        }

        internal long From { get; }

        /// <summary>They may go; a second time does nothing.</summary>
        public void Dispose()
        {
            lock (_owner._gate)
            {
                _owner._holds.Remove(this);
            }
        }
    }
}
