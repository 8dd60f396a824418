// A segment file that is part of the log, and where in it each live entry stands.
// Threading: the log's lock, but for File, which may be read at any time. Failure: none.
namespace PgRaft.Consensus.Storage;

/// <remarks><i>Invariant</i>: live entries are First..First+Count-1, their offsets rise.</remarks>
internal sealed class Segment(IStorageFile file, SegmentHeader header) : IDisposable
{
    private readonly List<uint> _offsets = [];

    internal IStorageFile File { get; } = file;

    internal SegmentHeader Header { get; } = header;

    // Where the next record goes.
    internal uint End { get; set; } = SegmentHeader.Bytes;

    internal long First { get; private set; }

    internal int Count => _offsets.Count;

    internal long Last => First + _offsets.Count - 1;

    internal bool Fits(long bytes) => End + bytes <= Header.FileBytes;

    internal bool Holds(long index) => Count > 0 && index >= First && index <= Last;

    internal uint OffsetOf(long index) => _offsets[(int)(index - First)];

    internal void Add(long index, uint offset)
    {
        if (_offsets.Count == 0)
        {
            First = index;
        }

        _offsets.Add(offset);
    }

    internal void TruncateFrom(long index)
    {
        int keep = (int)Math.Clamp(index - First, 0, _offsets.Count);
        _offsets.RemoveRange(keep, _offsets.Count - keep);
    }

    public void Dispose() => File.Dispose();
}
