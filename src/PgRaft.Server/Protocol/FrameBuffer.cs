// A growing byte buffer for one frame, in or out. It grows only as bytes arrive, never by a length
// a client claims, and what it holds beyond a small free allowance is reserved from the budget.
// Threading: one owner at a time. Failure: PgraftException, TooLarge beyond the largest frame and
// Busy when the budget is spent; the content is kept as it was.
using System.Buffers;
using System.Globalization;

using PgRaft.Core;

namespace PgRaft.Server.Protocol;

internal sealed class FrameBuffer(MemoryBudget budget) : IBufferWriter<byte>, IDisposable
{
    private const int InitialBytes = 1024;
    private const int FreeBytes = 64 * 1024;
    private const int MaxBytes = Wire.LengthBytes + Wire.MaxFrameBytes;

    private byte[] _bytes = new byte[InitialBytes];
    private long _reservedBytes;

    public int Length { get; private set; }

    public Span<byte> Written => _bytes.AsSpan(0, Length);

    public ReadOnlyMemory<byte> WrittenMemory => _bytes.AsMemory(0, Length);

    public void Advance(int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, _bytes.Length - Length);
        Length += count;
    }

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        EnsureFree(Math.Max(sizeHint, 1));
        return _bytes.AsMemory(Length);
    }

    public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;

    /// <summary>Empties the buffer; a large one is given back.</summary>
    public void Clear()
    {
        Length = 0;
        if (_bytes.Length > FreeBytes)
        {
            _bytes = new byte[InitialBytes];
            ReleaseReservation();
        }
    }

    /// <summary>Cuts the content back to its first bytes.</summary>
    public void Truncate(int length)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)length, (uint)Length);
        Length = length;
    }

    public void Dispose()
    {
        _bytes = [];
        Length = 0;
        ReleaseReservation();
    }

    private void EnsureFree(int count)
    {
        long needed = (long)Length + count;
        if (needed <= _bytes.Length)
            return;
        if (needed > MaxBytes)
            throw TooLarge();
        Grow((int)Math.Min(Math.Max(needed, 2L * _bytes.Length), MaxBytes));
    }

    private void Grow(int capacity)
    {
        long reservation = capacity > FreeBytes ? capacity : 0;
        if (reservation > 0 && !budget.TryReserve(reservation))
            throw Busy();
        var bytes = GC.AllocateUninitializedArray<byte>(capacity);
        Written.CopyTo(bytes);
        _bytes = bytes;
        ReleaseReservation();
        _reservedBytes = reservation;
    }

    private void ReleaseReservation()
    {
        budget.Release(_reservedBytes);
        _reservedBytes = 0;
    }

    private static PgraftException TooLarge() => new(
        StatusCode.TooLarge,
        "the answer is too large",
        string.Create(
            CultureInfo.InvariantCulture, $"The limit is {Wire.MaxFrameBytes} bytes."),
        "Ask for less, for example with a narrower prefix.");

    private static PgraftException Busy() => new(
        StatusCode.Busy,
        "too much memory is in use by large requests",
        null,
        "Try again when other requests have ended.");
}
