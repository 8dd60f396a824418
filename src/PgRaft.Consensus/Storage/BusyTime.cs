// How long the disk has had one thing in hand: what hangs gives no error.
// Threading: Began and Ended by one thread at a time, Ms by any. Failure: none.
namespace PgRaft.Consensus.Storage;

internal sealed class BusyTime
{
    private long _since;

    /// <summary>Since the last <see cref="Began"/>, in milliseconds; 0 when it has ended.</summary>
    public long Ms => Volatile.Read(ref _since) is var since and > 0
        ? Environment.TickCount64 - since
        : 0;

    public void Began() => Volatile.Write(ref _since, Math.Max(Environment.TickCount64, 1));

    public void Ended() => Volatile.Write(ref _since, 0);
}
