// Takes in a snapshot file from the leader, byte for byte, and lets it become this node's only when
// it is complete and its checksum right (design hazard 9: a partial file taken for a whole one).
// Threading: one thread. Failure: anything but a CommitReceived that returned leaves nothing.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

/// <summary>A snapshot file that arrives in pieces.</summary>
/// <remarks><i>Threading</i>: one thread at a time.</remarks>
public sealed class SnapshotReceiver : IDisposable
{
    private readonly SnapshotStore _store;
    private readonly SnapshotFile _file;
    private readonly long _index;
    private readonly long _term;

    internal SnapshotReceiver(
        SnapshotStore store, SnapshotFile file, long index, long term, long totalBytes)
    {
        _store = store;
        _file = file;
        _index = index;
        _term = term;
        TotalBytes = totalBytes;
    }

    /// <summary>Length the file will have.</summary>
    public long TotalBytes { get; }

    /// <summary>Bytes received; the offset the next piece must have.</summary>
    public long ReceivedBytes => _file.Length;

    /// <summary>Adds the next piece.</summary>
    /// <param name="offset">Must equal <see cref="ReceivedBytes"/>.</param>
    /// <param name="data">Must not reach beyond <see cref="TotalBytes"/>.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/>: a piece is missing,
    /// repeated or too long; nothing was written. <see cref="StatusCode.IoError"/>,
    /// <see cref="StatusCode.DiskFull"/>.</exception>
    public void Write(long offset, ReadOnlySpan<byte> data)
    {
        if (offset != ReceivedBytes || data.Length > TotalBytes - offset)
        {
            throw new PgraftException(
                StatusCode.BadArgument,
                $"snapshot piece of {data.Length} bytes at offset {offset} does not fit",
                $"{ReceivedBytes} of {TotalBytes} bytes have been received.");
        }

        long summed = Math.Max(0, TotalBytes - SnapshotFormat.ChecksumBytes - offset);
        _file.Append(data, (int)Math.Min(data.Length, summed));
    }

    /// <summary>Checks length, identity and checksum, and makes the file the current snapshot;
    /// returns when it is durable, and older ones are deleted.</summary>
    /// <returns>The new current snapshot.</returns>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/>: incomplete or
    /// damaged on the way. <see cref="StatusCode.WrongState"/>: one that covers as much has become
    /// current meanwhile. <see cref="StatusCode.IoError"/>, <see cref="StatusCode.DiskFull"/>. The
    /// current snapshot is then unchanged.</exception>
    public SnapshotInfo CommitReceived()
    {
        if (ReceivedBytes != TotalBytes)
        {
            throw Refused($"{ReceivedBytes} of {TotalBytes} bytes were received");
        }

        SnapshotInfo info = ReadInfo();
        if (info.Index != _index || info.Term != _term)
        {
            throw Refused($"it covers index {info.Index} of term {info.Term}");
        }

        if (_file.ReadChecksum() != Crc32C.Finish(_file.RunningChecksum))
        {
            throw Refused("its checksum is wrong");
        }

        return _store.Publish(_file, info);
    }

    /// <summary>Deletes what was received.</summary>
    public void Abort() => _file.Dispose();

    /// <summary>Deletes what was received unless it was committed.</summary>
    public void Dispose() => _file.Dispose();

    private SnapshotInfo ReadInfo()
    {
        try
        {
            return _file.ReadInfo();
        }
        catch (PgraftException e)
        {
            throw Refused(e.Code == StatusCode.IoError ? e.Detail ?? e.Message : e.Message);
        }
    }

    private PgraftException Refused(string reason) => new(
        StatusCode.BadArgument,
        $"received snapshot of index {_index}, term {_term} is refused",
        reason);
}
