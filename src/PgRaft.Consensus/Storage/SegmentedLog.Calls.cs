// Work of others on the thread that writes: whoever appends there and waits for it writes and syncs
// by itself, and no thread is woken in between. A follower takes its leader's entries so.
//
// Threading: the writer runs calls between two batches, in order. What a call waits for it writes
// at once, unless it is part of a batch's end itself. Failure: calls are run in any case, those
// that come too late by the pool; they learn from the log that it has failed or is closed.
using System.Runtime.CompilerServices;

namespace PgRaft.Consensus.Storage;

public sealed partial class SegmentedLog
{
    private readonly Queue<Action> _calls = new();
    private bool _hasEnded;
    private bool _isPerforming;

    /// <summary><c>await log.OnWriter()</c>: the rest of the method, up to where it waits for
    /// something else than <see cref="WaitDurableAsync"/>, runs on the thread that writes the log.
    /// It must be short.</summary>
    public WriterSwitch OnWriter() => new(this);

    private void Call(Action continuation)
    {
        bool wasIdle;
        lock (_gate)
        {
            if (_hasEnded)
            {
                OnPool(continuation);
                return;
            }

            _calls.Enqueue(continuation);
            wasIdle = TakeIdle();
        }

        WakeIf(wasIdle);
    }

    // False when it is not for this thread to write.
    private bool MayWriteHere() => Thread.CurrentThread == _writer && !_isPerforming;

    // As RunWriter, until the entry is on disk or never will be.
    private void WriteUntilDurable(long index)
    {
        try
        {
            while (NextWorkUntil(index) is { } work)
            {
                Perform(work);
            }
        }
        catch (Exception e)
        {
            OnDefect(e);
        }
    }

    private Work? NextWorkUntil(long index)
    {
        lock (_gate)
        {
            bool isDue = _failure is null && index > _durableIndex && index <= _lastIndex;
            return isDue ? NextWrite() : null;
        }
    }

    // By the writer, at its end.
    private void LeaveCalls()
    {
        lock (_gate)
        {
            _hasEnded = true;
            while (_calls.TryDequeue(out Action? call))
            {
                OnPool(call);
            }
        }
    }

    private static void OnPool(Action call) =>
        ThreadPool.UnsafeQueueUserWorkItem(static run => run(), call, preferLocal: false);

    /// <summary>What is awaited.</summary>
    public readonly struct WriterSwitch : ICriticalNotifyCompletion
    {
        private readonly SegmentedLog _log;

        internal WriterSwitch(SegmentedLog log) => _log = log;

        /// <summary>Whether this is the thread.</summary>
        public bool IsCompleted => _log.MayWriteHere();

        /// <summary>For <c>await</c>.</summary>
        public WriterSwitch GetAwaiter() => this;

        /// <summary>For <c>await</c>.</summary>
        public void GetResult()
        {
        }

        /// <inheritdoc/>
        public void OnCompleted(Action continuation)
        {
            var context = ExecutionContext.Capture();
            _log.Call(
                context is null
                    ? continuation
                    : () => ExecutionContext.Run(
                        context, static run => ((Action)run!)(), continuation));
        }

        /// <inheritdoc/>
        public void UnsafeOnCompleted(Action continuation) => _log.Call(continuation);
    }
}
