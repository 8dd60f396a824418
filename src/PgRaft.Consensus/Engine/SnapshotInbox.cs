// The snapshot that is arriving, if any. It becomes visible to nobody before it is whole, verified
// and durable (hazard 9).
// Threading: used from one snapshot connection at a time; a second sender replaces the first, whose
// pieces are then refused. Failure: a damaged transfer is refused and starts over.
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Engine;

/// <summary>Receives one snapshot at a time.</summary>
internal sealed class SnapshotInbox(SnapshotStore store) : IDisposable
{
    private readonly Lock _gate = new();
    private Transfer? _current;

    /// <summary>Starts a transfer, dropping any other.</summary>
    public void Begin(int sender, long term, long index, long snapshotTerm, long length)
    {
        lock (_gate)
        {
            _current?.File.Dispose();
            _current = new Transfer(
                sender, term, index, snapshotTerm,
                store.ReceiveWriter(index, snapshotTerm, length));
        }
    }

    /// <summary>Adds a piece; false when it does not belong to the current transfer.</summary>
    public bool Write(int sender, long term, long index, long offset, ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            if (!IsCurrent(sender, term, index))
            {
                return false;
            }

            _current!.File.Write(offset, bytes);
            return true;
        }
    }

    /// <summary>Takes the finished transfer out; null when it is not the current one.</summary>
    public IncomingSnapshot? Take(int sender, long term, long index)
    {
        lock (_gate)
        {
            if (!IsCurrent(sender, term, index))
            {
                return null;
            }

            var taken = _current!;
            _current = null;
            return new IncomingSnapshot(taken.Index, taken.SnapshotTerm, taken.File);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            _current?.File.Dispose();
            _current = null;
        }
    }

    private bool IsCurrent(int sender, long term, long index) =>
        _current is { } c && c.Sender == sender && c.Term == term && c.Index == index;

    private sealed record Transfer(
        int Sender, long Term, long Index, long SnapshotTerm, SnapshotReceiver File);
}
