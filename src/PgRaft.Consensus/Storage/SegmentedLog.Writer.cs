// The writer: everything queued so far, up to 4 MiB or the end of the segment, in one write and one
// sync; then the next. While it syncs, the next batch gathers; a leader's until its round begins
// (SegmentedLog.Gathering.cs).
//
// Threading: runs on its own thread, between calls of others (SegmentedLog.Calls.cs). It alone
// touches the newest segment's End, the buffer and the files; entries are taken and results
// published under _gate. An entry cut off while it was being written is on disk but not in the log:
// _inFlightEnd says how much of the batch still counts.
// Failure: any exception ends the thread and fails the log for good.
using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

public sealed partial class SegmentedLog
{
    // No part of the batch in hand counts any more.
    private const long Superseded = -1;

    // Every cut is on disk.
    private const long NoCut = long.MaxValue;

    private const int InitialBufferBytes = 64 * 1024;

    private readonly Thread _writer;
    private readonly SafeFileHandle _wakeUp = Libc.NewEvent();
    private readonly BusyTime _busy = new();
    private readonly List<LogRecord> _batch = [];
    private readonly List<Segment> _obsolete = [];
    private readonly List<TaskCompletionSource> _due = [];
    private byte[] _buffer = new byte[InitialBufferBytes];
    private Action? _call;
    private PgraftException? _failure;
    private long _nextSegmentId;
    private long _nextToWrite;
    private long _inFlightEnd = Superseded;
    private long _pendingCut = NoCut;
    private long _batchPrevTerm;
    private int _batchBytes;
    private uint _spareRequestedFor;
    private bool _resetPending;
    private bool _closing;
    private bool _isIdle;

    private enum Work
    {
        Stop,
        Call,
        Reset,
        Rotate,
        Write,
    }

    private void RunWriter()
    {
        try
        {
            Work work;
            while ((work = WaitForWork()) != Work.Stop)
            {
                if (work == Work.Call)
                {
                    _call!();
                }
                else
                {
                    Perform(work);
                }
            }
        }
        catch (Exception e)
        {
            OnDefect(e);
        }

        LeaveCalls();
    }

    private void Perform(Work work)
    {
        _isPerforming = true;
        _busy.Began();
        switch (work)
        {
            case Work.Reset:
                BeginChain();
                break;
            case Work.Rotate:
                Rotate();
                break;
            default:
                WriteBatch();
                break;
        }

        _busy.Ended();
        _isPerforming = false;
    }

    // On closing, what is queued is still written.
    private Work WaitForWork()
    {
        while (true)
        {
            lock (_gate)
            {
                Work? work = NextWork();
                _isIdle = work is null;
                if (work is not null)
                {
                    return work.Value;
                }
            }

            Libc.WaitEvent(_wakeUp);
        }
    }

    // Called with _gate held; null when there is nothing to do.
    private Work? NextWork()
    {
        if (_failure is not null)
        {
            return Work.Stop;
        }

        if (_calls.TryDequeue(out _call))
        {
            return Work.Call;
        }

        return NextWrite() ?? (_closing ? Work.Stop : null);
    }

    // As NextWork.
    private Work? NextWrite()
    {
        if (_resetPending)
        {
            _resetPending = false;
            return Work.Reset;
        }

        return _nextToWrite <= _lastIndex && _nextToWrite < _gathersFrom ? TakeBatch() : null;
    }

    // Called with _gate held by who made work. Whether the writer sleeps; the caller then wakes it,
    // after leaving the lock, for which the writer would wait at once.
    private bool TakeIdle()
    {
        bool wasIdle = _isIdle;
        _isIdle = false;
        return wasIdle;
    }

    private void WakeIf(bool wasIdle)
    {
        if (wasIdle)
        {
            Libc.SetEvent(_wakeUp);
        }
    }

    // Called with _gate held.
    private Work TakeBatch()
    {
        Segment active = _chain.Active;
        if (!active.Fits(SizeOf(_nextToWrite)))
        {
            return Work.Rotate;
        }

        _batch.Clear();
        _batchBytes = 0;
        _batchPrevTerm = _terms.TermAt(_nextToWrite - 1);
        while (_nextToWrite <= _lastIndex && HasRoom(active, SizeOf(_nextToWrite)))
        {
            _batch.Add(_recent[_nextToWrite]);
            _batchBytes += SizeOf(_nextToWrite);
            _nextToWrite++;
        }

        _inFlightEnd = _nextToWrite - 1;
        return Work.Write;
    }

    private int SizeOf(long index) => RecordHeader.SizeOf(_recent[index].Payload.Length);

    private bool HasRoom(Segment active, int bytes) =>
        active.Fits(_batchBytes + bytes)
        && (_batchBytes == 0 || _batchBytes + bytes <= LogOptions.MaxBatchBytes);

    private void WriteBatch()
    {
        Segment segment;
        lock (_gate)
        {
            if (_resetPending)
            {
                return;
            }

            segment = _chain.Active;
        }

        byte[] buffer = BufferFor(_batchBytes);
        Encode(segment, buffer);
        segment.File.Write(segment.End, buffer.AsSpan(0, _batchBytes));
        Meters.LogWrittenBytes.Add(_batchBytes);
        long syncBegan = Stopwatch.GetTimestamp();
        segment.File.Sync();
        SyncTimes.Measured(syncBegan);
        Meters.LogSync.RecordSince(syncBegan);
        long? durable = Publish(segment);
        DurabilityWaiters.Complete(_due);
        PrepareNext(segment);
        if (durable is { } index)
        {
            Durable?.Invoke(index);
        }
    }

    // The buffer that stays is bounded; an entry beyond it gets one of its own.
    private byte[] BufferFor(int bytes)
    {
        if (bytes > LogOptions.MaxBatchBytes)
        {
            return new byte[bytes];
        }

        if (bytes > _buffer.Length)
        {
            int doubled = Math.Max(bytes, _buffer.Length * 2);
            _buffer = new byte[Math.Min(doubled, LogOptions.MaxBatchBytes)];
        }

        return _buffer;
    }

    private void Encode(Segment segment, byte[] buffer)
    {
        int used = 0;
        long prevTerm = _batchPrevTerm;
        foreach (LogRecord record in _batch)
        {
            used += RecordHeader.Encode(
                buffer.AsSpan(used),
                segment.Header.Salt,
                segment.End + used,
                segment.End,
                prevTerm,
                record);
            prevTerm = record.Term;
        }
    }

    // The batch is on disk. Returns the durable index if it rose.
    private long? Publish(Segment segment)
    {
        lock (_gate)
        {
            uint offset = segment.End;
            foreach (LogRecord record in _batch)
            {
                if (record.Index <= _inFlightEnd)
                {
                    segment.Add(record.Index, offset);
                }

                offset += (uint)RecordHeader.SizeOf(record.Payload.Length);
            }

            segment.End = offset;
            _batch.Clear();
            if (_inFlightEnd <= _durableIndex)
            {
                return null;
            }

            Volatile.Write(ref _durableIndex, _inFlightEnd);
            _pendingCut = _inFlightEnd >= _pendingCut ? NoCut : _pendingCut;
            _waiters.TakeUpTo(_inFlightEnd, _due);
            _recent.Evict(_options.CacheBytes, _inFlightEnd);
            return _inFlightEnd;
        }
    }

    private void PrepareNext(Segment segment)
    {
        bool halfFull = segment.End > segment.Header.FileBytes / 2;
        if (halfFull && _spareRequestedFor != segment.Header.Id)
        {
            _spareRequestedFor = segment.Header.Id;
            _files.RequestSpare();
        }
    }

    private void Rotate()
    {
        Segment previous;
        long firstIndex;
        long prevTerm;
        int recordBytes;
        lock (_gate)
        {
            if (_resetPending || _nextToWrite > _lastIndex)
            {
                return;
            }

            previous = _chain.Active;
            firstIndex = _nextToWrite;
            prevTerm = _terms.TermAt(firstIndex - 1);
            recordBytes = SizeOf(firstIndex);
        }

        Segment segment = _files.Activate(
            NextSegmentId(), previous, firstIndex, prevTerm, recordBytes);
        lock (_gate)
        {
            if (_resetPending)
            {
                _obsolete.Add(segment);
            }
            else
            {
                _chain.Push(segment);
            }
        }
    }

    // A new first segment, to which nothing before belongs; then the old ones may go.
    private void BeginChain()
    {
        long firstIndex;
        long prevTerm;
        lock (_gate)
        {
            firstIndex = _firstIndex;
            prevTerm = _terms.TermAt(firstIndex - 1);
        }

        Segment segment = _files.Activate(
            NextSegmentId(), previous: null, firstIndex, prevTerm, recordBytes: 0);
        lock (_gate)
        {
            List<Segment> old = [.. _obsolete];
            _obsolete.Clear();
            if (_resetPending)
            {
                old.Add(segment);
                _obsolete.AddRange(old);
                return;
            }

            _chain.Push(segment);
            _files.Discard(old);
        }
    }

    private uint NextSegmentId()
    {
        if (_nextSegmentId > uint.MaxValue)
        {
            throw new PgraftException(StatusCode.Internal, "the log has no segment numbers left");
        }

        return (uint)_nextSegmentId++;
    }

    private void OnDefect(Exception cause)
    {
        PgraftException failure = cause as PgraftException ?? new PgraftException(
            StatusCode.Internal, "the log's writer failed", cause.Message, inner: cause);
        bool wasIdle;
        lock (_gate)
        {
            if (_failure is not null)
            {
                return;
            }

            _failure = failure;
            _waiters.FailFrom(0, () => StorageErrors.Again(failure));
            wasIdle = TakeIdle();
        }

        WakeIf(wasIdle);
        try
        {
            Failed?.Invoke(failure);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The failure is recorded; a handler's own must not end the process.
        }
    }
}
