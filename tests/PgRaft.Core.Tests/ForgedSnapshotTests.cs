// Snapshots with right checksums and wrong content, as a defective writer would leave them: each
// check of the reader behind the checksums has its case here.
using System.Buffers.Binary;

using PgRaft.Core.Kv;
using PgRaft.Core.Requests;
using PgRaft.Core.Snapshots;

using Xunit;

namespace PgRaft.Core.Tests;

public class ForgedSnapshotTests
{
    private static readonly KvStats OneKey = new()
    {
        Revision = 9,
        CompactedRevision = 0,
        TotalKeys = 1,
        TotalBytes = 2,
        Puts = 1,
    };

    [Fact]
    public void The_forge_can_make_a_good_one() =>
        Assert.Equal("v", Read(w => WriteState(w, OneKey, Key("k", Put(1, 1, 1)))).Kv.Get("k"));

    [Fact]
    public void Counters_are_checked()
    {
        var key = Key("k", Put(1, 1, 1));
        AssertRefused("counter is negative", w => WriteState(w, OneKey with { Puts = -1 }, key));
        AssertRefused(
            "in the future", w => WriteState(w, OneKey with { CompactedRevision = 10 }, key));
        AssertRefused("not those", w => WriteState(w, OneKey with { TotalKeys = 2 }, key));
        AssertRefused("not those", w => WriteState(w, OneKey with { TotalBytes = 3 }, key));
    }

    [Fact]
    public void Sections_are_checked()
    {
        AssertRefused("section", w => w.WriteByte(SnapshotFormat.KvSection));
        AssertRefused("section", w =>
        {
            WriteState(w, OneKey, Key("k", Put(1, 1, 1)), end: 7);
        });
        AssertRefused("ends inside", w => w.WriteByte(SnapshotFormat.MetaSection));
        AssertRefused("records follow", w =>
        {
            WriteState(w, OneKey, Key("k", Put(1, 1, 1)));
            w.WriteByte(0);
        });
    }

    [Fact]
    public void Keys_are_checked()
    {
        AssertRefused("impossible length", w => WriteState(w, OneKey, Key("", Put(1, 1, 1))));
        AssertRefused(
            "impossible length",
            w => WriteState(w, OneKey, Key(new string('k', 4097), Put(1, 1, 1))));
        AssertRefused("no versions", w => WriteState(w, OneKey, Key("k")));
        AssertRefused("not in order", w =>
        {
            byte[] key = Key("k", Put(1, 1, 1));
            WriteState(w, OneKey, [.. key, .. key], keys: 2);
        });
    }

    [Fact]
    public void Revisions_are_checked()
    {
        AssertRefused("not in order", w => WriteState(w, OneKey, Key("k", Put(0, 0, 1))));
        AssertRefused("not in order", w => WriteState(w, OneKey, Key("k", Put(10, 1, 1))));
        AssertRefused(
            "not in order", w => WriteState(w, OneKey, Key("k", Put(2, 2, 1), Put(2, 2, 2))));
    }

    [Fact]
    public void Versions_are_checked()
    {
        byte[][][] impossible =
        [
            [Tombstone(1)],
            [Put(1, 1, 0)],
            [Put(1, 2, 1)],
            [Put(1, 1, 1), Put(2, 2, 2)],
            [Put(1, 1, 1), Put(2, 1, 3)],
            [Put(1, 1, 1), Tombstone(2), Tombstone(3)],
            [Put(1, 1, 1), Tombstone(2), Put(3, 1, 2)],
            [Put(1, 1, 1), Tombstone(2), Put(3, 3, 2)],
            [Put(1, 1, 1), Version(0, 2, 1, 0, "")],
            [Put(1, 1, 1), Version(0, 2, 0, 1, "")],
        ];
        foreach (byte[][] versions in impossible)
            AssertRefused("contradicts", w => WriteState(w, OneKey, Key("k", versions)));
    }

    [Fact]
    public void Values_are_checked()
    {
        AssertRefused("kind", w => WriteState(w, OneKey, Key("k", Version(2, 1, 1, 1, ""))));
        AssertRefused("kind", w => WriteState(w, OneKey, Key("k", Version(0, 1, 1, 1, "v"))));
        byte[] huge = Put(1, 1, 1);
        BinaryPrimitives.WriteInt32LittleEndian(huge.AsSpan(33), Limits.UpperMaxValueBytes + 1);
        AssertRefused("kind", w => WriteState(w, OneKey, Key("k", huge)));
    }

    [Fact]
    public void Requests_are_checked()
    {
        Assert.Equal(9, Read(w => WriteRequests(w, 9, 1, Session(1, Slot(3)))).AppliedIndex);
        AssertRefused("out of range", w => WriteRequests(w, 10, 0));
        AssertRefused("out of range", w => WriteRequests(w, -1, 0));
        AssertRefused("more sessions", w => WriteRequests(w, 0, Limits.MaxSessions + 1));
        byte[] session = Session(1, Slot(0));
        AssertRefused("sessions are not in order", w => WriteRequests(w, 0, 2, session, session));
        AssertRefused(
            "sessions are not in order", w => WriteRequests(w, 0, 1, Session(0, Slot(0))));
        AssertRefused("has no slots", w => WriteRequests(w, 0, 1, Session(1)));
    }

    [Fact]
    public void Results_of_requests_are_checked()
    {
        AssertRefusedSlots("slots of a session are not in order", Slot(2), Slot(2));
        AssertRefusedSlots(
            "slots of a session are not in order", Slot(Limits.MaxSlotsPerSession));
        AssertRefusedSlots("out of range", Slot(0, sequence: 0));
        AssertRefusedSlots("out of range", Slot(0, index: 0));
        AssertRefusedSlots("out of range", Slot(0, index: 10));
        AssertRefusedSlots("out of range", Slot(0, revision: -1));
        AssertRefusedSlots("impossible status", Slot(0, status: 200));
        AssertRefusedSlots("impossible status", Slot(0, flags: 4));
    }

    private static void AssertRefusedSlots(string why, params byte[][] slots) =>
        AssertRefused(why, w => WriteRequests(w, 0, 1, Session(1, slots)));

    [Fact]
    public void Other_formats_are_named()
    {
        byte[] header = new byte[SnapshotFormat.HeaderBytes];
        SnapshotFormat.Magic.CopyTo(header);
        header[8] = 0;
        AssertRefusedHeader("format 0 is not known", header);
        header[0] ^= 1;
        AssertRefusedHeader("does not begin", header);
    }

    [Fact]
    public void A_footer_with_another_length_is_refused()
    {
        byte[] bytes = new StateMachine().Snapshot();
        bytes[^12]++;
        SealAll(bytes);
        var e = Assert.Throws<InvalidDataException>(() => Machines.Restored(bytes));
        Assert.Contains("not that in the footer", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_block_longer_than_any_can_be_is_refused_before_it_is_read()
    {
        byte[] bytes = new StateMachine().Snapshot();
        bytes[SnapshotFormat.HeaderBytes + 3] = 0x7f;
        var e = Assert.Throws<InvalidDataException>(() => Machines.Restored(bytes));
        Assert.Contains("longer than any", e.Message, StringComparison.Ordinal);
    }

    private static void WriteState(
        BlockWriter writer, KvStats stats, byte[] content, long keys = 1, byte end = 0)
    {
        writer.WriteByte(SnapshotFormat.MetaSection);
        writer.WriteInt64(1);
        writer.WriteInt64(1);
        new StateEncoder(writer).WriteStats(stats);
        writer.WriteByte(SnapshotFormat.KvSection);
        writer.WriteInt64(keys);
        writer.Write(content);
        writer.WriteByte(SnapshotFormat.RequestSection);
        new StateEncoder(writer).WriteRequests(new RequestTable());
        writer.WriteByte(end);
    }

    // After an applied index of 9.
    private static void WriteRequests(
        BlockWriter writer, long forgotten, int count, params byte[][] sessions)
    {
        writer.WriteByte(SnapshotFormat.MetaSection);
        writer.WriteInt64(9);
        writer.WriteInt64(1);
        new StateEncoder(writer).WriteStats(default);
        writer.WriteByte(SnapshotFormat.KvSection);
        writer.WriteInt64(0);
        writer.WriteByte(SnapshotFormat.RequestSection);
        writer.WriteInt64(forgotten);
        writer.WriteUInt32((uint)count);
        foreach (byte[] session in sessions)
            writer.Write(session);
        writer.WriteByte(SnapshotFormat.EndSection);
    }

    private static byte[] Session(ulong id, params byte[][] slots) =>
    [
        .. BitConverter.GetBytes(id),
        .. BitConverter.GetBytes((ushort)slots.Length),
        .. slots.SelectMany(s => s),
    ];

    private static byte[] Slot(
        int slot,
        long sequence = 1,
        long index = 9,
        long revision = 0,
        byte status = 0,
        byte flags = 0) =>
    [
        .. BitConverter.GetBytes((ushort)slot),
        .. BitConverter.GetBytes(sequence),
        .. BitConverter.GetBytes(index),
        .. BitConverter.GetBytes(revision),
        status,
        flags,
    ];

    private static byte[] Key(string key, params byte[][] versions)
    {
        byte[] bytes = new byte[2 + key.Length + 4];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)key.Length);
        Machines.Bytes(key).CopyTo(bytes, 2);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(2 + key.Length), versions.Length);
        return [.. bytes, .. versions.SelectMany(v => v)];
    }

    private static byte[] Put(long mod, long create, long version) =>
        Version(1, mod, create, version, "v");

    private static byte[] Tombstone(long mod) => Version(0, mod, 0, 0, "");

    private static byte[] Version(byte kind, long mod, long create, long version, string value)
    {
        byte[] bytes = new byte[SnapshotFormat.VersionHeaderBytes];
        bytes[0] = kind;
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(1), mod);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(9), create);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(17), version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(33), value.Length);
        return [.. bytes, .. Machines.Bytes(value)];
    }

    private static StateImage Read(Action<BlockWriter> write)
    {
        using var stream = new MemoryStream();
        var writer = new BlockWriter(stream, DataVersions.Newest, CancellationToken.None);
        write(writer);
        writer.Complete();
        stream.Position = 0;
        return SnapshotReader.Read(stream, CancellationToken.None);
    }

    private static void AssertRefused(string why, Action<BlockWriter> write)
    {
        var e = Assert.Throws<InvalidDataException>(() => Read(write));
        Assert.Contains(why, e.Message, StringComparison.Ordinal);
    }

    private static void AssertRefusedHeader(string why, byte[] header)
    {
        Seal(header);
        var e = Assert.Throws<InvalidDataException>(() => Machines.Restored(header));
        Assert.Contains(why, e.Message, StringComparison.Ordinal);
    }

    // Makes the checksum of the footer right again: over everything but the checksums before it.
    private static void SealAll(byte[] bytes)
    {
        const int Header = SnapshotFormat.HeaderBytes;
        const int Footer = SnapshotFormat.FooterBytes;
        var crc = default(Crc32C);
        crc.Append(bytes.AsSpan(0, Header - 4));
        crc.Append(bytes.AsSpan(Header, bytes.Length - Header - Footer - 4));
        crc.Append(bytes.AsSpan(bytes.Length - Footer, Footer - 4));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(bytes.Length - 4), crc.Value);
    }

    // Makes the checksum in the last four bytes right again, of a header alone.
    private static void Seal(byte[] bytes)
    {
        var crc = default(Crc32C);
        crc.Append(bytes.AsSpan(0, bytes.Length - 4));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(bytes.Length - 4), crc.Value);
    }
}
