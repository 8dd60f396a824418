// Log records on their way to PostgreSQL: produced by any core thread, drained by the worker's main
// thread. Bounded, because the main thread may be busy while the core has much to say.
// Threading: one short lock; nothing is formatted or copied out under it by producers.
// Failure: a record that finds the ring full is dropped and counted.
using Microsoft.Extensions.Logging;

using PgRaft.Server.Logging;

namespace PgRaft.Native;

internal sealed class LogRing(int capacity, WakeEvent wake) : ILogSink
{
    private readonly Lock _lock = new();
    private readonly Queue<Record> _records = new(Math.Min(capacity, 16));
    private long _dropped;

    public long Dropped => Interlocked.Read(ref _dropped);

    public void Write(LogLevel level, int eventId, string category, string text)
    {
        lock (_lock)
        {
            if (_records.Count >= capacity)
            {
                Interlocked.Increment(ref _dropped);
                return;
            }

            _records.Enqueue(new Record(ToAbi(level), eventId, category, text));
        }

        wake.Signal();
    }

    /// <summary>Moves the oldest record out; false when none is waiting.</summary>
    public unsafe bool TryTake(PgraftLogRecord* destination)
    {
        Record record;
        lock (_lock)
        {
            if (!_records.TryDequeue(out record))
                return false;
        }

        destination->Level = (int)record.Level;
        destination->EventId = record.EventId;
        CText.Write(record.Category, new Span<byte>(destination->Category, Abi.LogCategoryBytes));
        CText.Write(record.Text, new Span<byte>(destination->Text, Abi.LogTextBytes));
        return true;
    }

    private static AbiLogLevel ToAbi(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => AbiLogLevel.Debug,
        LogLevel.Information => AbiLogLevel.Info,
        LogLevel.Warning => AbiLogLevel.Warning,
        _ => AbiLogLevel.Error,
    };

    private readonly record struct Record(
        AbiLogLevel Level, int EventId, string Category, string Text);
}
