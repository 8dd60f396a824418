// Writes a snapshot of this node's own state machine.
// Threading: one thread. Failure: anything but a Commit that returned leaves no snapshot behind.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

/// <summary>A snapshot being written. Only <see cref="Commit"/> makes it one.</summary>
/// <remarks><i>Threading</i>: one thread at a time.</remarks>
public sealed class SnapshotWriter : IDisposable
{
    private readonly SnapshotStore _store;
    private readonly SnapshotFile _file;
    private readonly SnapshotContentWriter _content;
    private readonly SnapshotInfo _info;

    internal SnapshotWriter(SnapshotStore store, SnapshotFile file, SnapshotInfo info)
    {
        _store = store;
        _file = file;
        _info = info;
        _content = new SnapshotContentWriter(file);
        file.Append(SnapshotFormat.EncodeHeader(
            info.Index, info.Term, info.ConfigurationIndex, info.DataVersion,
            info.Configuration.Span));
    }

    /// <summary>Takes the state machine's bytes. Bounded memory; disposing of it does nothing.
    /// </summary>
    public Stream Content => _content;

    /// <summary>Closes the file with its checksum and makes it the current snapshot; returns when
    /// it is durable, and older ones are deleted.</summary>
    /// <returns>The new current snapshot.</returns>
    /// <exception cref="PgraftException"><see cref="StatusCode.WrongState"/>: one that covers as
    /// much has become current meanwhile. <see cref="StatusCode.IoError"/>,
    /// <see cref="StatusCode.DiskFull"/>. The current snapshot is then unchanged.</exception>
    public SnapshotInfo Commit()
    {
        _content.Drain();
        long total = _file.Length + SnapshotFormat.FooterBytes;
        byte[] footer = SnapshotFormat.EncodeFooter(total, _file.RunningChecksum);
        _file.Append(footer);
        return _store.Publish(_file, _info with { TotalBytes = total });
    }

    /// <summary>Deletes the file unless it was committed.</summary>
    public void Dispose() => _file.Dispose();
}
