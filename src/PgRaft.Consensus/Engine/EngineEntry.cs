// The log's records in the shape the engine wants them.
// Threading: immutable. Failure: the engine never asks for the content of these entries, since our
// members read records from the log themselves; if a later version does, it fails loudly.
using System.Collections;
using DotNext.IO;
using DotNext.Net.Cluster.Consensus.Raft;
using PgRaft.Consensus.Storage;

namespace PgRaft.Consensus.Engine;

/// <summary>One entry: term, kind, and the record when it came from a peer.</summary>
internal readonly struct EngineEntry(long term, LogRecord record) : IRaftLogEntry
{
    /// <summary>The record, where this entry was received from the leader.</summary>
    public LogRecord Record => record;

    /// <inheritdoc/>
    public long Term => term;

    bool IRaftLogEntry.IsConfiguration => record.Kind == EntryKind.Configuration;

    bool IDataTransferObject.IsReusable => true;

    long? IDataTransferObject.Length => record.Payload.Length;

    bool IDataTransferObject.TryGetMemory(out ReadOnlyMemory<byte> memory)
    {
        memory = record.Payload;
        return true;
    }

    ValueTask IDataTransferObject.WriteToAsync<TWriter>(TWriter writer, CancellationToken token) =>
        writer.Invoke(record.Payload, token);
}

/// <summary>Entries <c>first..last</c> of the log, read only when a member sends them.</summary>
/// <remarks><i>Invariant</i>: <c>last &gt;= first - 1</c>.</remarks>
internal sealed class LogRange(EngineLog log, long first, long last) : IReadOnlyList<EngineEntry>
{
    /// <summary>Last index.</summary>
    public long Last => last;

    /// <inheritdoc/>
    public int Count => checked((int)(last - first + 1));

    /// <inheritdoc/>
    public EngineEntry this[int index] => new(log.TermAt(first + index), default);

    /// <inheritdoc/>
    public IEnumerator<EngineEntry> GetEnumerator()
    {
        for (int i = 0; i < Count; i++)
        {
            yield return this[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}

/// <summary>The snapshot that stands for a compacted part of the log, open for sending.</summary>
internal sealed class OutgoingSnapshot(long index, long term, Stream content) : IRaftLogEntry
{
    /// <summary>Last index it covers.</summary>
    public long Index => index;

    /// <summary>The snapshot file; stays readable after a newer one has replaced it.</summary>
    public Stream Content => content;

    /// <inheritdoc/>
    public long Term => term;

    bool DotNext.IO.Log.ILogEntry.IsSnapshot => true;

    bool IDataTransferObject.IsReusable => false;

    long? IDataTransferObject.Length => content.Length;

    ValueTask IDataTransferObject.WriteToAsync<TWriter>(TWriter writer, CancellationToken token) =>
        ValueTask.FromException(new NotSupportedException("Members send snapshots themselves."));
}

/// <summary>A snapshot that arrived whole and verified, waiting to be installed.</summary>
internal sealed class IncomingSnapshot(long index, long term, SnapshotReceiver file) : IRaftLogEntry
{
    /// <summary>Last index it covers.</summary>
    public long Index => index;

    /// <summary>The received file.</summary>
    public SnapshotReceiver File => file;

    /// <inheritdoc/>
    public long Term => term;

    bool DotNext.IO.Log.ILogEntry.IsSnapshot => true;

    bool IDataTransferObject.IsReusable => false;

    long? IDataTransferObject.Length => null;

    ValueTask IDataTransferObject.WriteToAsync<TWriter>(TWriter writer, CancellationToken token) =>
        ValueTask.FromException(new NotSupportedException("The log installs snapshots itself."));
}

/// <summary>Entries that came in one append request.</summary>
internal sealed class ReceivedEntries(IReadOnlyList<LogRecord> records)
    : DotNext.IO.Log.ILogEntryProducer<EngineEntry>
{
    private int _next;

    /// <inheritdoc/>
    public EngineEntry Current => new(records[_next - 1].Term, records[_next - 1]);

    long DotNext.IO.Log.ILogEntryProducer<EngineEntry>.RemainingCount => records.Count - _next;

    /// <inheritdoc/>
    public ValueTask<bool> MoveNextAsync() => new(_next < records.Count && ++_next > 0);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
