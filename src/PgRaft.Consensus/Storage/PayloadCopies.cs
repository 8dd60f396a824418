// Copies of a batch's payloads, side by side in few arrays: a hundred small entries cost one
// allocation. An array lives as long as any of its entries; the log drops them in order.
// Threading: one owner. Failure: none.
namespace PgRaft.Consensus.Storage;

internal struct PayloadCopies
{
    // Below what the runtime puts on its heap of large objects, which is collected rarely.
    private const int ArrayBytes = 64 * 1024;

    private Memory<byte> _free;
    private long _toCome;

    // The payloads of these records will be added, in any order.
    internal PayloadCopies(ReadOnlySpan<LogRecord> records)
    {
        foreach (ref readonly LogRecord record in records)
        {
            _toCome += SharedBytes(record.Payload.Length);
        }
    }

    internal ReadOnlyMemory<byte> Add(ReadOnlySpan<byte> payload)
    {
        int shared = SharedBytes(payload.Length);
        if (shared < payload.Length)
        {
            return payload.ToArray();
        }

        if (_free.Length < shared)
        {
            _free = new byte[Math.Min(_toCome, ArrayBytes)];
        }

        _toCome -= shared;
        Memory<byte> copy = _free[..shared];
        payload.CopyTo(copy.Span);
        _free = _free[shared..];
        return copy;
    }

    // What is larger gets an array of its own: little is wasted at the end of one that is shared.
    private static int SharedBytes(int payloadBytes) =>
        payloadBytes <= ArrayBytes / 16 ? payloadBytes : 0;
}
