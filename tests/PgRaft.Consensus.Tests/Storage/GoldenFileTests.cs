// Files of released formats, kept in golden/*.hex, stay readable and stay what we write. They were
// composed from docs/storage.md, not by the code under test. One of a released format is never
// changed: a new format version adds files.
using PgRaft.Consensus.Membership;
using PgRaft.Consensus.Storage;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class GoldenFileTests
{
    private const string Directory = "/data";
    private const ulong Salt = 0x2122232425262728;
    private const string ClusterId = "production-cluster";
    private const int NodeId = 0x0a0b;

    private static readonly Configuration Members = Configuration.Found(
        0x1112131415161718,
        [
            new MemberAddress(1, "10.0.1.11", 7001),
            new MemberAddress(NodeId, "nœud-2.example", 7002),
        ]);

    private static readonly byte[] State = "the state machine's bytes"u8.ToArray();

    private readonly SimulatedDisk _disk = new();

    // The second says how long the voter keeps faith; what does not is from before there was that.
    [Theory]
    [InlineData("term_v1", 0)]
    [InlineData("term_faith_v1", 0x31323334)]
    public void Term(string name, int faithMs)
    {
        Put("/data/term", Golden(name));
        var found = TermStore.Open(Directory, _disk);
        Assert.Equal((0x0102030405060708, NodeId), found.Current);
        Assert.Equal(faithMs, found.FaithMs);

        var fresh = new SimulatedDisk();
        var store = TermStore.Open(Directory, fresh);
        store.Save(0x0102030405060708, NodeId);
        store.KeepFaith(faithMs);
        AssertGolden(name, fresh.Content("/data/term"));
    }

    [Fact]
    public void Stamp()
    {
        var stamp = DirectoryStamp.Decode(Golden("stamp_v1"), "/data/stamp");

        Assert.Equal((ClusterId, NodeId), (stamp.ClusterId, stamp.NodeId));
        Assert.Equal(Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"), stamp.Incarnation);
        AssertGolden("stamp_v1", stamp.Encode());
    }

    [Fact]
    public void Founding()
    {
        Put("/data/founding", Golden("founding_v1"));
        AssertMembers(FoundingFile.Read(_disk, Directory)!);

        var fresh = new SimulatedDisk();
        FoundingFile.Write(fresh, Directory, Members);
        AssertGolden("founding_v1", fresh.Content("/data/founding"));
    }

    [Fact]
    public void Members_of_a_configuration()
    {
        AssertMembers(Configuration.Decode(Golden("configuration_v1")));
        AssertGolden("configuration_v1", Members.Bytes.ToArray());
    }

    // The second batch supersedes the end of the first.
    [Fact]
    public void Segment()
    {
        byte[] whole = new byte[LogOptions.MinSegmentBytes];
        Golden("segment_v1").CopyTo(whole, 0);
        Put("/log/segment-0000000007.log", whole);

        using var log = new LogFixture(_disk, baseIndex: 4, baseTerm: 2);

        Assert.Equal("5:3 6:4 7:4", log.Terms);
        Assert.Equal("any data", log.Text(6));
        Assert.Equal(
            [EntryKind.Empty, EntryKind.Command, EntryKind.Configuration],
            from index in (long[])[5, 6, 7] select log.Log.Read(index).Kind);
        AssertMembers(Configuration.Decode(log.Log.Read(7).Payload.Span));
    }

    [Fact]
    public void Segment_as_written()
    {
        byte[] golden = Golden("segment_v1");
        var header = new SegmentHeader(7, Salt, 5, 2, 0, 0, LogOptions.MinSegmentBytes);
        byte[] written = new byte[golden.Length];
        header.Encode().CopyTo(written, 0);
        int end = SegmentHeader.Bytes;
        end += Encode(written, end, SegmentHeader.Bytes, 2, 5, 3, EntryKind.Empty, default);
        end += Encode(written, end, SegmentHeader.Bytes, 3, 6, 3, EntryKind.Command,
            "superseded"u8.ToArray());
        end += Encode(written, end, SegmentHeader.Bytes, 3, 7, 3, EntryKind.Configuration,
            Members.Bytes);
        int second = end;
        end += Encode(written, end, second, 3, 6, 4, EntryKind.Command, "any data"u8.ToArray());
        end += Encode(written, end, second, 4, 7, 4, EntryKind.Configuration, Members.Bytes);

        Assert.Equal(golden.Length, end);
        AssertGolden("segment_v1", written);
    }

    [Fact]
    public void Snapshot()
    {
        string name = $"/data/{SnapshotFormat.NameOf(0x3132, 0x4142)}";
        Put(name, Golden("snapshot_file_v1"));
        var store = SnapshotStore.Open(Directory, _disk);
        var found = store.Current!;

        Assert.Equal(
            (0x3132, 0x4142, 0x3130), (found.Index, found.Term, found.ConfigurationIndex));
        AssertMembers(Configuration.Decode(found.Configuration.Span));
        using var content = new MemoryStream();
        using (var stream = store.OpenRead())
        {
            stream.CopyTo(content);
        }

        Assert.Equal(State, content.ToArray());
    }

    [Fact]
    public void Snapshot_as_written()
    {
        var store = SnapshotStore.Open(Directory, _disk);
        using (var writer = store.CreateWriter(
            0x3132, 0x4142, 0x3130, Members.Bytes.ToArray(), 0,
            TestContext.Current.CancellationToken))
        {
            writer.Content.Write(State);
            writer.Commit();
        }

        AssertGolden(
            "snapshot_file_v1", _disk.Content($"/data/{SnapshotFormat.NameOf(0x3132, 0x4142)}"));
    }

    private static int Encode(
        byte[] to, int offset, int batchStart, long prevTerm, long index, long term,
        EntryKind kind, ReadOnlyMemory<byte> payload) => RecordHeader.Encode(
            to.AsSpan(offset), Salt, offset, (uint)batchStart, prevTerm,
            new LogRecord(index, term, kind, payload));

    private static void AssertMembers(Configuration found)
    {
        Assert.Equal(Members.FoundingId, found.FoundingId);
        Assert.Equal(Members.Addresses, found.Addresses);
    }

    private void Put(string path, byte[] content)
    {
        _disk.CreateDirectory(Path.GetDirectoryName(path)!);
        using var file = _disk.Create(path);
        file.Write(0, content);
        file.Sync();
    }

    private static void AssertGolden(string name, byte[] actual) =>
        Assert.Equal(Convert.ToHexStringLower(Golden(name)), Convert.ToHexStringLower(actual));

    private static byte[] Golden(string name) => Convert.FromHexString(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "golden", name + ".hex"))
            .ReplaceLineEndings(""));
}
