// Reads what SnapshotWriter wrote. A snapshot may come from a peer or a failing disk: it is taken
// whole or refused, and the checks behind the checksums keep a file that was written wrong from
// becoming a state that is wrong.
// Threading: one thread per stream. Failure: InvalidDataException says what and where.
using PgRaft.Core.Collections;
using PgRaft.Core.Kv;
using PgRaft.Core.Requests;

namespace PgRaft.Core.Snapshots;

/// <summary>Deserialises a <see cref="StateImage"/>.</summary>
/// <remarks>Threading: stateless; one thread per stream.</remarks>
public static class SnapshotReader
{
    /// <summary>Reads one snapshot that fills the stream to its end.</summary>
    /// <param name="stream">Read forwards only; not closed.</param>
    /// <param name="token">Looked at before each block.</param>
    /// <returns>The image that was written.</returns>
    /// <exception cref="InvalidDataException">The snapshot is truncated, altered, followed by other
    /// bytes, or inconsistent.</exception>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: a newer version wrote
    /// it.</exception>
    /// <exception cref="IOException">From the stream.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static StateImage Read(Stream stream, CancellationToken token = default)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var reader = new BlockReader(stream, token);
        Expect(reader, SnapshotFormat.MetaSection);
        long appliedIndex = ReadCount(reader);
        long appliedTerm = ReadCount(reader);
        var stats = ReadStats(reader);
        Expect(reader, SnapshotFormat.KvSection);
        var map = new KeyReader(reader, stats).ReadKeys();
        var requests = ReadRequests(reader, appliedIndex);
        Expect(reader, SnapshotFormat.EndSection);
        reader.Complete();
        return new StateImage(
            new AppliedState(
                appliedIndex,
                appliedTerm,
                new KvView(map, stats),
                Math.Max((int)reader.Version, DataVersions.OldestWritten)),
            requests);
    }

    private static RequestTable ReadRequests(BlockReader reader, long appliedIndex)
    {
        if (reader.Version == SnapshotFormat.FirstVersion)
            return new RequestTable();
        Expect(reader, SnapshotFormat.RequestSection);
        return new RequestReader(reader, appliedIndex).Read();
    }

    private static KvStats ReadStats(BlockReader reader)
    {
        var stats = new KvStats
        {
            Revision = ReadCount(reader),
            CompactedRevision = ReadCount(reader),
            TotalKeys = ReadCount(reader),
            TotalBytes = ReadCount(reader),
            Puts = ReadCount(reader),
            Deletes = ReadCount(reader),
        };
        if (stats.CompactedRevision > stats.Revision)
            reader.Fail("the compacted revision is in the future");
        return stats;
    }

    private static long ReadCount(BlockReader reader)
    {
        long value = reader.ReadInt64();
        if (value < 0)
            reader.Fail("a counter is negative");
        return value;
    }

    private static void Expect(BlockReader reader, byte section)
    {
        if (reader.ReadByte() != section)
            reader.Fail("a section is missing or not known");
    }

    /// <summary>Reads the key section and recomputes what the counters say about it.</summary>
    private sealed class KeyReader(BlockReader reader, KvStats stats)
    {
        private readonly KeyMapEditor _map = KeyMap.Empty.Edit();
        private long _liveKeys;
        private long _liveBytes;

        public KeyMap ReadKeys()
        {
            long count = ReadCount(reader);
            byte[] last = [];
            for (long i = 0; i < count; i++)
            {
                byte[] key = ReadKey(last);
                var newest = ReadHistory();
                _map.Set(key, newest);
                Count(key, newest);
                last = key;
            }

            if (_liveKeys != stats.TotalKeys || _liveBytes != stats.TotalBytes)
                reader.Fail("the keys are not those that were counted");
            return _map.Freeze();
        }

        private void Count(byte[] key, KeyVersion newest)
        {
            if (newest.Value is null)
                return;
            _liveKeys++;
            _liveBytes += key.Length + newest.Value.Length;
        }

        // The empty key, which cannot exist, stands for "before the first".
        private byte[] ReadKey(byte[] last)
        {
            int length = reader.ReadUInt16();
            if (length is < Limits.MinKeyBytes or > Limits.MaxKeyBytes)
                reader.Fail("a key has an impossible length");
            byte[] key = new byte[length];
            reader.Read(key);
            if (key.AsSpan().SequenceCompareTo(last) <= 0)
                reader.Fail("the keys are not in order");
            return key;
        }

        private KeyVersion ReadHistory()
        {
            uint count = reader.ReadUInt32();
            KeyVersion? newest = null;
            for (uint i = 0; i < count; i++)
                newest = ReadVersion(newest);
            if (newest is null)
                reader.Fail("a key has no versions");
            return newest;
        }

        private KeyVersion ReadVersion(KeyVersion? previous)
        {
            byte kind = reader.ReadByte();
            var version = new KeyVersion
            {
                ModRevision = ReadCount(reader),
                CreateRevision = ReadCount(reader),
                Version = ReadCount(reader),
                LeaseId = ReadCount(reader),
                Value = ReadValue(kind),
                Previous = previous,
            };
            if (version.ModRevision <= (previous?.ModRevision ?? 0)
                || version.ModRevision > stats.Revision)
            {
                reader.Fail("the revisions of a key are not in order");
            }

            if (!IsPossible(version))
                reader.Fail("a version contradicts the one before it");
            return version;
        }

        private byte[]? ReadValue(byte kind)
        {
            uint length = reader.ReadUInt32();
            if (kind > 1 || length > (kind == 0 ? 0 : Limits.UpperMaxValueBytes))
                reader.Fail("a value has an impossible kind or length");
            if (kind == 0)
                return null;
            byte[] value = new byte[length];
            reader.Read(value);
            return value;
        }

        // A tombstone follows a live version; a put continues it or begins anew. The first version
        // kept by a compaction may be any put.
        private static bool IsPossible(KeyVersion version)
        {
            var live = version.Previous is { IsTombstone: false } previous ? previous : null;
            if (version.IsTombstone)
                return live is not null && version is { CreateRevision: 0, Version: 0 };
            if (live is not null)
            {
                return version.CreateRevision == live.CreateRevision
                    && version.Version == live.Version + 1;
            }

            return version.Previous is null
                ? version.Version >= 1 && version.CreateRevision <= version.ModRevision
                : version.Version == 1 && version.CreateRevision == version.ModRevision;
        }
    }
}
