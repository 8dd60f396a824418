// Makes and removes segment files. A segment is written full of zeros and synced before it is used,
// so that an append changes no metadata and its fdatasync is one write; since that takes a while,
// the next one is made ready in the background when the current one is half full. Deleting waits in
// the background too: neither holds up an append.
//
// Threading: Activate, RequestSpare and Discard by the writer or under the log's lock; the queue
// has its own lock. One thread ("pgraft log files") does the background work, woken by the queue.
// Failure: a spare that there is no room for is no error yet: Activate makes the file, and reports.
// Any other trouble in the background, a failed sync above all, is a defect of the log and final.
// When a file cannot be deleted, no later one is: recovery must not find a gap.
using System.Globalization;
using System.Security.Cryptography;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal sealed class SegmentFiles : IDisposable
{
    private const string Prefix = "segment-";
    private const string Suffix = ".log";
    private const string NewName = "segment-new" + AtomicFile.TemporarySuffix;
    private const string LargeName = "segment-large" + AtomicFile.TemporarySuffix;
    private const int ZeroBytes = 1024 * 1024;

    private readonly LogOptions _options;
    private readonly Thread _thread;
    private readonly Queue<Action> _work = new();
    private readonly Lock _newFile = new();
    private readonly Action<Exception> _defect;
    private IStorageFile? _spare;
    private long _diskBytes;
    private bool _closing;
    private bool _deletionFailed;

    internal SegmentFiles(LogOptions options, Action<Exception> defect)
    {
        _options = options;
        _defect = defect;
        _thread = new Thread(RunWork) { Name = "pgraft log files", IsBackground = true };
        _thread.Start();
    }

    internal long DiskBytes => Interlocked.Read(ref _diskBytes);

    internal static string PathOf(string directory, uint id) => Path.Combine(
        directory, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{id:D10}{Suffix}"));

    internal static bool TryParseName(string name, out uint id)
    {
        id = 0;
        return name.StartsWith(Prefix, StringComparison.Ordinal)
            && name.EndsWith(Suffix, StringComparison.Ordinal)
            && uint.TryParse(
                name.AsSpan(Prefix.Length, name.Length - Prefix.Length - Suffix.Length),
                NumberStyles.None,
                CultureInfo.InvariantCulture,
                out id)
            && id > 0;
    }

    internal static bool IsTemporaryName(string name) => name is NewName or LargeName;

    // Counts a segment that recovery has opened.
    internal void Adopt(Segment segment) =>
        Interlocked.Add(ref _diskBytes, segment.Header.FileBytes);

    // Brings a segment into being under its name, durably, with room for one record of the given
    // size at least. Previous is the one it follows, already synced; null begins a new chain.
    internal Segment Activate(
        uint id, Segment? previous, long firstIndex, long prevTerm, long recordBytes)
    {
        lock (_newFile)
        {
            uint fileBytes = FileBytesFor(recordBytes);
            IStorageFile file = TakeSpare(fileBytes) ?? MakeNew(fileBytes);
            string path = PathOf(_options.Directory, id);
            try
            {
                var header = new SegmentHeader(
                    id, NewSalt(), firstIndex, prevTerm,
                    previous?.Header.Id ?? 0, previous?.End ?? 0, fileBytes);
                file.Write(0, header.Encode());
                file.Sync();
                AtomicFile.Publish(_options.Io, file.Path, path);
                return new Segment(Reopen(file, path), header);
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
    }

    // Makes the next segment's file ready, once.
    internal void RequestSpare() => Enqueue(MakeSpare);

    // Deletes files that are no longer part of the log; oldest first.
    internal void Discard(List<Segment> segments)
    {
        if (segments.Count > 0)
        {
            Enqueue(() => Delete(segments));
        }
    }

    // Finishes the queued work. The spare is left for the next start to delete.
    public void Dispose()
    {
        lock (_work)
        {
            _closing = true;
            Monitor.Pulse(_work);
        }

        _thread.Join();
        _spare?.Dispose();
    }

    private static ulong NewSalt()
    {
        Span<byte> bytes = stackalloc byte[sizeof(ulong)];
        RandomNumberGenerator.Fill(bytes);
        return BitConverter.ToUInt64(bytes);
    }

    private uint FileBytesFor(long recordBytes)
    {
        long needed = SegmentHeader.Bytes + recordBytes;
        long rounded = (needed + LogOptions.MinSegmentBytes - 1)
            / LogOptions.MinSegmentBytes * LogOptions.MinSegmentBytes;
        return (uint)Math.Max(_options.SegmentBytes, rounded);
    }

    private IStorageFile? TakeSpare(uint fileBytes)
    {
        if (_spare is null || fileBytes != _options.SegmentBytes)
        {
            return null;
        }

        IStorageFile spare = _spare;
        _spare = null;
        return spare;
    }

    // A spare under way keeps its name; a larger file made beside it needs another.
    private IStorageFile MakeNew(uint fileBytes)
    {
        string name = fileBytes == _options.SegmentBytes ? NewName : LargeName;
        IStorageFile file = _options.Io.Create(Path.Combine(_options.Directory, name));
        try
        {
            byte[] zeros = new byte[(int)Math.Min(fileBytes, ZeroBytes)];
            for (long at = 0; at < fileBytes; at += zeros.Length)
            {
                file.Write(at, zeros.AsSpan(0, (int)Math.Min(zeros.Length, fileBytes - at)));
            }

            file.Sync();
            Interlocked.Add(ref _diskBytes, fileBytes);
            return file;
        }
        catch
        {
            file.Dispose();
            AtomicFile.TryDelete(_options.Io, file.Path);
            throw;
        }
    }

    // Errors must name the file by the name it has now.
    private IStorageFile Reopen(IStorageFile file, string path)
    {
        IStorageFile renamed = _options.Io.Open(path);
        file.Dispose();
        return renamed;
    }

    private void MakeSpare()
    {
        lock (_newFile)
        {
            try
            {
                _spare ??= MakeNew((uint)_options.SegmentBytes);
            }
            catch (PgraftException e) when (e.Code == StatusCode.DiskFull)
            {
                // The writer will meet the same trouble when it needs the file, and report it.
            }
        }
    }

    private void Delete(List<Segment> segments)
    {
        foreach (Segment segment in segments)
        {
            segment.Dispose();
            TryDelete(segment);
        }
    }

    private void TryDelete(Segment segment)
    {
        if (_deletionFailed)
        {
            return;
        }

        try
        {
            _options.Io.Delete(segment.File.Path);
            _options.Io.SyncDirectory(_options.Directory);
            Interlocked.Add(ref _diskBytes, -segment.Header.FileBytes);
        }
        catch
        {
            // Recovery must not find a gap: nothing newer is deleted after this.
            _deletionFailed = true;
            throw;
        }
    }

    private void Enqueue(Action work)
    {
        lock (_work)
        {
            _work.Enqueue(work);
            Monitor.Pulse(_work);
        }
    }

    private void RunWork()
    {
        while (TakeWork() is { } work)
        {
            try
            {
                work();
            }
            catch (Exception e)
            {
                // An exception that leaves a thread ends the process, and with it every backend.
                _defect(e);
            }
        }
    }

    private Action? TakeWork()
    {
        lock (_work)
        {
            while (_work.Count == 0 && !_closing)
            {
                Monitor.Wait(_work);
            }

            return _work.Count > 0 ? _work.Dequeue() : null;
        }
    }
}
