// Reads and damages a member's log files from outside, by the format in docs/storage.md.
//
// Threading: one task, while no server has the files open. Failure: a file that does not have the
// documented format throws.

using System.Buffers.Binary;

namespace PgRaft.Chaos.Faults;

internal sealed class LogFile
{
    private const int HeaderBytes = 64;
    private const int RecordHeaderBytes = 40;
    private const int Alignment = 8;
    private const int SectorBytes = 512;

    private readonly byte[] _bytes;

    public LogFile(string path)
    {
        Path = path;
        _bytes = File.ReadAllBytes(path);
        if (!_bytes.AsSpan(0, 8).SequenceEqual("PGRTLOG1"u8))
        {
            throw new InvalidDataException($"{path} is no log segment");
        }

        End = HeaderBytes;
        while (SizeAt(End) is var size and > 0)
        {
            Records.Add(End);
            End += size;
        }
    }

    public string Path { get; }

    /// <summary>Offsets of the records, in order.</summary>
    public List<int> Records { get; } = [];

    /// <summary>Offset after the last record.</summary>
    public int End { get; }

    public int Length => _bytes.Length;

    /// <summary>The segments of a member's log, oldest first.</summary>
    public static IReadOnlyList<LogFile> AllOf(string dataDirectory)
    {
        return [.. Directory
            .EnumerateFiles(System.IO.Path.Combine(dataDirectory, "log"), "segment-*.log")
            .Order()
            .Select(path => new LogFile(path))];
    }

    /// <summary>Flips a bit of what the checksum of a record covers.</summary>
    public void FlipIn(int record, Random random)
    {
        var payload = BinaryPrimitives.ReadInt32LittleEndian(_bytes.AsSpan(record));
        var offset = record + random.Next(RecordHeaderBytes + payload);
        Flip(Path, offset, random);
    }

    /// <summary>
    /// Leaves behind the records the first sector of a batch of which the others were never
    /// written, as a power failure in the middle of a write does. Nothing in it was confirmed.
    /// False when there is no room for it.
    /// </summary>
    public bool TryTear()
    {
        if (End + (4 * SectorBytes) > Length)
        {
            return false;
        }

        var sector = ((End / SectorBytes) + 1) * SectorBytes;
        var torn = new byte[Math.Max(sector - End, RecordHeaderBytes)];
        torn.AsSpan().Fill((byte)'t');
        BinaryPrimitives.WriteInt32LittleEndian(torn, 3 * SectorBytes);
        BinaryPrimitives.WriteInt64LittleEndian(torn.AsSpan(8), int.MaxValue);
        BinaryPrimitives.WriteInt64LittleEndian(torn.AsSpan(16), int.MaxValue);
        BinaryPrimitives.WriteInt64LittleEndian(torn.AsSpan(24), int.MaxValue);
        BinaryPrimitives.WriteInt32LittleEndian(torn.AsSpan(32), End);
        torn[36] = 1;
        using var file = new FileStream(Path, FileMode.Open, FileAccess.Write);
        file.Position = End;
        file.Write(torn);
        return true;
    }

    /// <summary>Cuts the file off.</summary>
    public void CutTo(int length)
    {
        using var file = new FileStream(Path, FileMode.Open, FileAccess.Write);
        file.SetLength(length);
    }

    /// <summary>Flips one bit of the byte at an offset of any file.</summary>
    public static void Flip(string path, int offset, Random random)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = offset;
        var value = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(value ^ (1 << random.Next(8))));
    }

    // Size of the record at an offset, 0 where there is none.
    private int SizeAt(int offset)
    {
        if (offset + RecordHeaderBytes > _bytes.Length)
        {
            return 0;
        }

        var header = _bytes.AsSpan(offset);
        var payload = BinaryPrimitives.ReadInt32LittleEndian(header);
        var index = BinaryPrimitives.ReadInt64LittleEndian(header[8..]);
        var size = (RecordHeaderBytes + payload + Alignment - 1) & -Alignment;
        return index > 0 && payload >= 0 && offset + size <= _bytes.Length ? size : 0;
    }
}
