// Finds places in a stopped member's log (docs/storage.md has the format) and damages them.
//
// Threading: one test; the member must be down. Failure: a log without records throws.

using System.Buffers.Binary;

namespace PgRaft.Cluster.Tests.Support;

/// <param name="Path">A segment's file.</param>
/// <param name="Offset">Where a record begins.</param>
/// <param name="Bytes">Its length with header, without padding.</param>
internal sealed record LogPlace(string Path, long Offset, int Bytes);

internal static class LogFiles
{
    public const int SectorBytes = 512;

    private const int SegmentHeaderBytes = 64;
    private const int RecordHeaderBytes = 40;
    private const int Alignment = 8;

    /// <summary>The first record of the segment that is being written.</summary>
    public static LogPlace FirstRecord(TestServer server)
    {
        return Records(server).First();
    }

    public static LogPlace LastRecord(TestServer server)
    {
        return Records(server).Last();
    }

    /// <summary>Flips one bit.</summary>
    public static void Flip(string path, long offset)
    {
        using var file = File.Open(path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = offset;
        var value = file.ReadByte();
        file.Position = offset;
        file.WriteByte((byte)(value ^ 1));
    }

    /// <summary>Makes the last whole sector of a record one that was never written.</summary>
    public static void Tear(LogPlace record)
    {
        var end = (record.Offset + record.Bytes) / SectorBytes * SectorBytes;
        Assert.True(end - SectorBytes > record.Offset, "the record holds no whole sector");
        using var file = File.Open(record.Path, FileMode.Open, FileAccess.ReadWrite);
        file.Position = end - SectorBytes;
        file.Write(new byte[SectorBytes]);
    }

    public static void Truncate(string path, long length)
    {
        using var file = File.Open(path, FileMode.Open, FileAccess.ReadWrite);
        file.SetLength(length);
    }

    private static IEnumerable<LogPlace> Records(TestServer server)
    {
        var path = Segments(server).Last(s => IsUsed(File.ReadAllBytes(s)));
        var bytes = File.ReadAllBytes(path);
        for (var at = SegmentHeaderBytes; at + RecordHeaderBytes <= bytes.Length;)
        {
            var payload = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at));
            var checksum = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(at + sizeof(int)));
            if (checksum == 0 && payload == 0)
            {
                yield break;
            }

            var length = RecordHeaderBytes + payload;
            yield return new LogPlace(path, at, length);
            at += (length + Alignment - 1) / Alignment * Alignment;
        }
    }

    private static bool IsUsed(byte[] segment)
    {
        return segment.AsSpan(SegmentHeaderBytes, RecordHeaderBytes).ContainsAnyExcept((byte)0);
    }

    private static IEnumerable<string> Segments(TestServer server)
    {
        return Directory.EnumerateFiles(Path.Combine(server.PgraftDirectory, "log"))
            .Order(StringComparer.Ordinal);
    }
}
