// The canonical bytes of the replicated state, which snapshots store and the state hash covers, so
// the two cannot drift apart. SnapshotFormat gives the layout.
// Threading: pure; one thread per encoder. Failure: what the sink throws.
using System.Buffers.Binary;

using PgRaft.Core.Kv;
using PgRaft.Core.Requests;

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

    public void WriteRequests(RequestTable requests)
    {
        sink.WriteInt64(requests.ForgottenIndex);
        sink.WriteUInt32((uint)requests.Count);
        foreach (var session in requests.Sessions)
            WriteSession(session);
    }

    private void WriteSession(RequestTable.Session session)
    {
        int used = 0;
        foreach (var slot in session.Slots)
            used += slot.Sequence > 0 ? 1 : 0;
        sink.WriteInt64((long)session.Id);
        sink.WriteUInt16((ushort)used);
        for (int slot = 0; slot < session.Slots.Length; slot++)
        {
            if (session.Slots[slot].Sequence > 0)
                WriteSlot(slot, session.Slots[slot]);
        }
    }

    private void WriteSlot(int slot, SlotResult result)
    {
        Span<byte> bytes = stackalloc byte[SnapshotFormat.SlotBytes];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)slot);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[2..], result.Sequence);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[10..], result.Index);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[18..], result.Revision);
        bytes[26] = (byte)result.Status;
        bytes[27] = (byte)((result.Existed ? SnapshotFormat.ExistedFlag : 0)
            | (result.Matched ? SnapshotFormat.MatchedFlag : 0));
        sink.Write(bytes);
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
