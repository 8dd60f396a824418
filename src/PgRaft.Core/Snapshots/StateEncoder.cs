// The canonical bytes of the key-value state, which snapshots store and the state hash covers, so
// the two cannot drift apart. SnapshotFormat gives the layout.
// Threading: pure; one thread per encoder. Failure: what the sink throws.
using System.Buffers.Binary;

using PgRaft.Core.Kv;

namespace PgRaft.Core.Snapshots;

internal sealed class StateEncoder(PayloadSink sink)
{
    private readonly Stack<KeyVersion> _versions = new();

    public void WriteStats(KvStats stats)
    {
        sink.WriteInt64(stats.Revision);
        sink.WriteInt64(stats.CompactedRevision);
        sink.WriteInt64(stats.TotalKeys);
        sink.WriteInt64(stats.TotalBytes);
        sink.WriteInt64(stats.Puts);
        sink.WriteInt64(stats.Deletes);
    }

    public void WriteKeys(KvView view)
    {
        sink.WriteInt64(view.Map.Count);
        var cursor = view.Map.Seek([]);
        while (cursor.MoveNext())
            WriteKey(cursor.Key, cursor.Newest);
    }

    private void WriteKey(byte[] key, KeyVersion newest)
    {
        for (KeyVersion? version = newest; version is not null; version = version.Previous)
            _versions.Push(version);
        sink.WriteUInt16((ushort)key.Length);
        sink.Write(key);
        sink.WriteUInt32((uint)_versions.Count);
        while (_versions.TryPop(out var version))
            WriteVersion(version);
    }

    private void WriteVersion(KeyVersion version)
    {
        Span<byte> header = stackalloc byte[SnapshotFormat.VersionHeaderBytes];
        header[0] = version.IsTombstone ? (byte)0 : (byte)1;
        BinaryPrimitives.WriteInt64LittleEndian(header[1..], version.ModRevision);
        BinaryPrimitives.WriteInt64LittleEndian(header[9..], version.CreateRevision);
        BinaryPrimitives.WriteInt64LittleEndian(header[17..], version.Version);
        BinaryPrimitives.WriteInt64LittleEndian(header[25..], version.LeaseId);
        BinaryPrimitives.WriteUInt32LittleEndian(
            header[33..], (uint)(version.Value?.Length ?? 0));
        sink.Write(header);
        sink.Write(version.Value);
    }
}
