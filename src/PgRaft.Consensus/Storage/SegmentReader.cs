// Reads a segment from disk: record by record with their checksums, and byte by byte where a record
// is bad and the question is whether it was torn or damaged.
// Threading: one thread; readers that share a window are used one after another, never in turns.
// Failure: PgraftException from the file.
namespace PgRaft.Consensus.Storage;

internal sealed class SegmentReader(IStorageFile file, SegmentHeader header, byte[] window)
{
    internal const int WindowBytes = 256 * 1024;

    // A write that was cut short by a crash leaves whole sectors old; old means zero here, because
    // segments are made of zeros and recovery zeroes what it drops.
    private const int SectorBytes = 512;

    private long _windowStart;
    private int _windowLength;

    internal IStorageFile File => file;

    internal SegmentHeader Header => header;

    // The record at the offset when it is whole and right; false otherwise.
    internal bool TryRead(long offset, out RecordHeader record)
    {
        record = default;
        if (offset + RecordHeader.Bytes > header.FileBytes)
        {
            return false;
        }

        ReadOnlySpan<byte> bytes = Window(offset, RecordHeader.Bytes);
        record = RecordHeader.Decode(bytes);
        if (!record.IsPlausible(offset, header.FileBytes))
        {
            return false;
        }

        uint crc = RecordHeader.Begin(bytes, header.Salt, offset);
        crc = AppendRange(crc, offset + RecordHeader.Bytes, record.Length);
        return Crc32C.Finish(crc) == record.Checksum;
    }

    // Offset after the last byte that is not zero, at or after the given one.
    internal long EndOfData(long offset)
    {
        long end = offset;
        while (offset < header.FileBytes)
        {
            int count = (int)Math.Min(WindowBytes, header.FileBytes - offset);
            int last = Window(offset, count).LastIndexOfAnyExcept((byte)0);
            end = last >= 0 ? offset + last + 1 : end;
            offset += count;
        }

        return end;
    }

    // Whether a good record of a later batch stands between a bad one and the end of data: then the
    // bad one had been synced, and a crash cannot have torn it.
    internal bool HasLaterBatch(long badOffset, long endOfData)
    {
        const int Step = RecordHeader.Alignment;
        for (long at = badOffset + Step; at < endOfData; at += Step)
        {
            if (TryRead(at, out RecordHeader record) && record.BatchStart > badOffset)
            {
                return true;
            }
        }

        return false;
    }

    // Whether a sector of what should be there was never written.
    internal bool HasUnwrittenSector(long badOffset, long endOfData)
    {
        long end = Math.Max(endOfData, DeclaredEnd(badOffset));
        for (long at = badOffset; at < end;)
        {
            long next = Math.Min(end, (at / SectorBytes * SectorBytes) + SectorBytes);
            if (Window(at, (int)(next - at)).IndexOfAnyExcept((byte)0) < 0)
            {
                return true;
            }

            at = next;
        }

        return false;
    }

    private long DeclaredEnd(long offset)
    {
        if (offset + RecordHeader.Bytes > header.FileBytes)
        {
            return offset;
        }

        // Of a header that makes no sense, its second sector may be what is missing.
        RecordHeader record = RecordHeader.Decode(Window(offset, RecordHeader.Bytes));
        int size = record.IsPlausible(offset, header.FileBytes) ? record.Size : RecordHeader.Bytes;
        return offset + size;
    }

    private uint AppendRange(uint crc, long offset, int length)
    {
        while (length > 0)
        {
            int count = Math.Min(length, WindowBytes);
            crc = Crc32C.Append(crc, Window(offset, count));
            offset += count;
            length -= count;
        }

        return crc;
    }

    // At most WindowBytes; the caller has checked that the range lies in the file.
    private ReadOnlySpan<byte> Window(long offset, int count)
    {
        bool held = offset >= _windowStart && offset + count <= _windowStart + _windowLength;
        if (!held)
        {
            _windowStart = offset;
            _windowLength = file.Read(offset, window);
            if (_windowLength < count)
            {
                throw StorageErrors.Damaged(file.Path, offset, "it ends before its recorded size");
            }
        }

        return window.AsSpan((int)(offset - _windowStart), count);
    }
}
