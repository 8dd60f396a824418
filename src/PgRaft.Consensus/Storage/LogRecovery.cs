// Opens the segments of a log after whatever ended the process before: keeps every record that was
// on disk, drops a torn last batch, and refuses a log that is damaged anywhere else, because an
// entry this node has acknowledged must not silently be gone (docs/storage.md, crash anatomy).
// Threading: one thread, before the log is shared. Failure: PgraftException naming file and offset;
// what was opened is closed again, nothing on disk has been changed but leftovers deleted and a
// torn tail zeroed.
namespace PgRaft.Consensus.Storage;

internal sealed class LogRecovery(LogOptions options)
{
    private const int CopyBytes = 1024 * 1024;

    private readonly IStorageIo _io = options.Io;
    private readonly RecoveredLog _log = new();
    private readonly byte[] _window = new byte[SegmentReader.WindowBytes];

    internal RecoveredLog Run()
    {
        List<SegmentReader> files = OpenFiles();
        try
        {
            // A name may have been found in the kernel's memory only: a process that ends between a
            // rename and the sync of the directory leaves that behind.
            _io.SyncDirectory(options.Directory);
            files = CutChain(files);
            for (int i = 0; i < files.Count; i++)
            {
                Load(files[i], i + 1 < files.Count ? files[i + 1].Header : null);
            }

            return _log;
        }
        catch
        {
            files.ForEach(file => file.File.Dispose());
            throw;
        }
    }

    private List<SegmentReader> OpenFiles()
    {
        var files = new List<SegmentReader>();
        try
        {
            foreach (uint id in ListIds())
            {
                IStorageFile file = _io.Open(SegmentFiles.PathOf(options.Directory, id));
                files.Add(new SegmentReader(file, ReadHeader(file, id), _window));
                _log.NextSegmentId = id + 1L;
            }

            return files;
        }
        catch
        {
            files.ForEach(file => file.File.Dispose());
            throw;
        }
    }

    private static SegmentHeader ReadHeader(IStorageFile file, uint id)
    {
        try
        {
            return SegmentHeader.Read(file, id);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    // In rising order; temporary files are deleted, anything else is not ours to judge.
    private List<uint> ListIds()
    {
        var ids = new List<uint>();
        foreach (string name in _io.List(options.Directory))
        {
            if (SegmentFiles.IsTemporaryName(name))
            {
                _io.Delete(Path.Combine(options.Directory, name));
            }
            else if (SegmentFiles.TryParseName(name, out uint id))
            {
                ids.Add(id);
            }
        }

        ids.Sort();
        return ids;
    }

    // The newest unbroken chain. Files before the head of a chain are left over from an interrupted
    // reset; a chain that breaks anywhere else has lost a file.
    private List<SegmentReader> CutChain(List<SegmentReader> files)
    {
        int start = Math.Max(files.Count - 1, 0);
        while (start > 0 && files[start].Header.PrevId == files[start - 1].Header.Id)
        {
            start--;
        }

        if (start > 0)
        {
            RequireHead(files[start].Header, files[start - 1].Header.Id);
        }

        foreach (SegmentReader leftover in files[..start])
        {
            leftover.File.Dispose();
            _io.Delete(leftover.File.Path);
        }

        return files[start..];
    }

    // Files are deleted oldest first, each durably before the next, so no crash leaves a gap.
    private void RequireHead(SegmentHeader head, uint olderId)
    {
        if (head.PrevId != 0)
        {
            throw StorageErrors.Damaged(
                SegmentFiles.PathOf(options.Directory, head.PrevId),
                0,
                $"it is missing: segment {olderId} is there, and segment {head.Id} follows it");
        }
    }

    private void Load(SegmentReader reader, SegmentHeader? next)
    {
        var segment = new Segment(reader.File, reader.Header);
        _log.Push(segment);
        while (reader.TryRead(segment.End, out RecordHeader record))
        {
            _log.Add(segment, segment.End, record);
            segment.End += (uint)record.Size;
            if (next is not null && segment.End == next.PrevEnd)
            {
                return;
            }
        }

        if (next is null)
        {
            RepairTail(reader, segment.End);
        }
        else if (segment.End != next.PrevEnd)
        {
            throw StorageErrors.Damaged(reader.File.Path, segment.End, "the record there is wrong");
        }
    }

    private static void RepairTail(SegmentReader reader, long end)
    {
        long endOfData = reader.EndOfData(end);
        if (endOfData > end)
        {
            bool torn = !reader.HasLaterBatch(end, endOfData)
                && reader.HasUnwrittenSector(end, endOfData);
            if (!torn)
            {
                throw StorageErrors.Damaged(reader.File.Path, end, "the record there is wrong");
            }

            Zero(reader.File, end, endOfData);
        }

        WriteBack(reader.File, end);
        reader.File.Sync();
    }

    private static void Zero(IStorageFile file, long from, long to)
    {
        byte[] zeros = new byte[(int)Math.Min(CopyBytes, to - from)];
        for (long at = from; at < to; at += zeros.Length)
        {
            file.Write(at, zeros.AsSpan(0, (int)Math.Min(zeros.Length, to - at)));
        }
    }

    // What was read may be in the kernel's memory only: not yet written when the process was killed
    // or dropped from the list of things to write when its sync failed. Writing it again makes the
    // sync that follows mean something.
    private static void WriteBack(IStorageFile file, long end)
    {
        byte[] buffer = new byte[(int)Math.Min(CopyBytes, end)];
        for (long at = 0; at < end; at += buffer.Length)
        {
            Span<byte> part = buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - at));
            if (file.Read(at, part) < part.Length)
            {
                throw StorageErrors.Damaged(file.Path, at, "it became shorter while it was read");
            }

            file.Write(at, part);
        }
    }
}
