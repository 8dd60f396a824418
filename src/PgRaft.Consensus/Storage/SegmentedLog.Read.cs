// Reading entries back: from memory while they are recent, else from their segment.
// Threading: the place of an entry is looked up under _gate, the disk is read outside it; a segment
// deleted meanwhile reads as compacted. Failure: a record that fails its checksum is damage.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

public sealed partial class SegmentedLog
{
    /// <summary>Reads one entry, durable or not.</summary>
    /// <exception cref="PgraftException"><see cref="StatusCode.NotFound"/>: compacted or beyond the
    /// end. <see cref="StatusCode.IoError"/>: it cannot be read, or is damaged.</exception>
    public LogRecord Read(long index)
    {
        if (TryRead(index, out LogRecord record))
        {
            return record;
        }

        throw new PgraftException(
            StatusCode.NotFound,
            $"log index {index} is not in the log",
            $"The log holds indexes {FirstIndex} to {LastIndex}.");
    }

    /// <summary>Reads consecutive entries, durable or not, until a limit or the end.</summary>
    /// <param name="fromIndex">First index wanted.</param>
    /// <param name="maxEntries">At most so many; at least 1.</param>
    /// <param name="maxBytes">At most so many bytes of payload, but always one entry.</param>
    /// <param name="into">Receives them; it is not cleared.</param>
    /// <returns>How many; 0 when <paramref name="fromIndex"/> is compacted or beyond the end.
    /// </returns>
    /// <exception cref="PgraftException"><see cref="StatusCode.IoError"/>: an entry cannot be read,
    /// or is damaged.</exception>
    public int Read(long fromIndex, int maxEntries, int maxBytes, List<LogRecord> into)
    {
        int count = 0;
        long bytes = 0;
        long previousTerm = 0;
        while (count < maxEntries && TryRead(fromIndex + count, out LogRecord record))
        {
            bytes += record.Payload.Length;

            // A term that goes back means the log was cut between two reads.
            if ((count > 0 && bytes > maxBytes) || record.Term < previousTerm)
            {
                break;
            }

            previousTerm = record.Term;
            into.Add(record);
            count++;
        }

        return count;
    }

    private bool TryRead(long index, out LogRecord record)
    {
        record = default;
        Segment? segment;
        uint offset;
        lock (_gate)
        {
            ThrowIfUnusable();
            if (index < _firstIndex)
            {
                // Compacted, though it may be in memory still.
                return false;
            }

            if (_recent.Holds(index))
            {
                record = _recent[index];
                return true;
            }

            segment = index <= _lastIndex ? _chain.Find(index) : null;
            if (segment is null)
            {
                return false;
            }

            offset = segment.OffsetOf(index);
        }

        try
        {
            record = ReadFromDisk(segment, offset, index);
            return true;
        }
        catch (ObjectDisposedException)
        {
            return false;
        }
    }

    private static LogRecord ReadFromDisk(Segment segment, long offset, long index)
    {
        Span<byte> bytes = stackalloc byte[RecordHeader.Bytes];
        RequireRead(segment, offset, bytes);
        RecordHeader header = RecordHeader.Decode(bytes);
        if (header.Index != index || !header.IsPlausible(offset, segment.Header.FileBytes))
        {
            throw StorageErrors.Damaged(
                segment.File.Path, offset, $"the record of index {index} is not there any more");
        }

        byte[] payload = new byte[header.Length];
        RequireRead(segment, offset + RecordHeader.Bytes, payload);
        uint crc = RecordHeader.Begin(bytes, segment.Header.Salt, offset);
        if (Crc32C.Finish(Crc32C.Append(crc, payload)) != header.Checksum)
        {
            throw StorageErrors.Damaged(
                segment.File.Path, offset, $"the record of index {index} has a wrong checksum");
        }

        return new LogRecord(index, header.Term, header.Kind, payload);
    }

    private static void RequireRead(Segment segment, long offset, Span<byte> into)
    {
        if (segment.File.Read(offset, into) < into.Length)
        {
            throw StorageErrors.Damaged(segment.File.Path, offset, "the file ends there");
        }
    }
}
