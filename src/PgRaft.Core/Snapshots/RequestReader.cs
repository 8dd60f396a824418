// Reads the request section of a snapshot: the results that retries are answered with.
// Threading: one thread. Failure: InvalidDataException says what and where.
using PgRaft.Core.Requests;

namespace PgRaft.Core.Snapshots;

internal sealed class RequestReader(BlockReader reader, long appliedIndex)
{
    public RequestTable Read()
    {
        long forgotten = ReadNumber(0, appliedIndex);
        uint count = reader.ReadUInt32();
        if (count > Limits.MaxSessions)
            reader.Fail("it has more sessions than are remembered");
        var sessions = new Dictionary<ulong, RequestTable.Session>();
        ulong last = 0;
        for (uint i = 0; i < count; i++)
        {
            var session = ReadSession(last);
            sessions.Add(session.Id, session);
            last = session.Id;
        }

        return new RequestTable(sessions, forgotten);
    }

    // Id 0, which stands for none, is below every other.
    private RequestTable.Session ReadSession(ulong last)
    {
        var session = new RequestTable.Session((ulong)reader.ReadInt64());
        if (session.Id <= last)
            reader.Fail("the sessions are not in order");
        int count = reader.ReadUInt16();
        if (count == 0)
            reader.Fail("a session has no slots");
        for (int i = 0, slot = -1; i < count; i++)
            slot = ReadSlot(session, slot);
        return session;
    }

    private int ReadSlot(RequestTable.Session session, int last)
    {
        int slot = reader.ReadUInt16();
        if (slot <= last || slot >= Limits.MaxSlotsPerSession)
            reader.Fail("the slots of a session are not in order");
        long sequence = ReadNumber(1, long.MaxValue);
        long index = ReadNumber(1, appliedIndex);
        long revision = ReadNumber(0, long.MaxValue);
        var status = (StatusCode)reader.ReadByte();
        byte flags = reader.ReadByte();
        if (!Enum.IsDefined(status)
            || flags > (SnapshotFormat.ExistedFlag | SnapshotFormat.MatchedFlag))
        {
            reader.Fail("a result has an impossible status or flag");
        }

        session.Set(slot, new SlotResult(
            sequence,
            index,
            revision,
            status,
            (flags & SnapshotFormat.ExistedFlag) != 0,
            (flags & SnapshotFormat.MatchedFlag) != 0));
        return slot;
    }

    private long ReadNumber(long min, long max)
    {
        long value = reader.ReadInt64();
        if (value < min || value > max)
            reader.Fail("a number of a request is out of range");
        return value;
    }
}
