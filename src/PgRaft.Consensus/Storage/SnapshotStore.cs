// The snapshot files of a node: which is current, writing the next, taking one in from the leader.
//
// Threading: any thread; the lock guards which snapshot is current, and is held while a whole file
// is renamed and synced, never while content is written. Writers and receivers are single-threaded.
// Failure: a file is found under a snapshot's name only complete and synced. One that is damaged
// later is passed over for an older one at start, and refused where there is none.
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

/// <summary>Durable snapshots, of which one is current.</summary>
/// <remarks>
/// <para><i>Invariant</i>: the index of <see cref="Current"/> only rises.</para>
/// <para><i>Threading</i>: all members may be called from any thread.</para>
/// </remarks>
public sealed class SnapshotStore
{
    private readonly IStorageIo _io;
    private readonly string _directory;
    private readonly Lock _gate = new();
    private readonly List<string> _rejected = [];
    private SnapshotInfo? _current;
    private long _temporaryFiles;

    private SnapshotStore(IStorageIo io, string directory)
    {
        _io = io;
        _directory = directory;
    }

    /// <summary>The newest snapshot; null when there is none.</summary>
    public SnapshotInfo? Current => Volatile.Read(ref _current);

    /// <summary>Newer files that were passed over at start because they are damaged: file and
    /// reason. The log must then reach back to <see cref="Current"/>.</summary>
    public IReadOnlyList<string> Rejected => _rejected;

    /// <summary>Finds the newest valid snapshot (header, completeness and length; the content is
    /// verified as it is read) and deletes what was left unfinished.</summary>
    /// <param name="directory">Created if missing. Only files with a snapshot's names are touched.
    /// </param>
    /// <exception cref="PgraftException"><see cref="StatusCode.IoError"/>: there are snapshots, and
    /// all are damaged, or the directory cannot be used. <see cref="StatusCode.WrongState"/>: a
    /// newer version wrote the newest; an older one must not stand in for it.</exception>
    public static SnapshotStore Open(string directory) => Open(directory, PhysicalIo.Instance);

    internal static SnapshotStore Open(string directory, IStorageIo io)
    {
        io.CreateDirectory(directory);
        var store = new SnapshotStore(io, directory);
        store.Load();

        // A name found here may be in the kernel's memory only.
        io.SyncDirectory(directory);
        return store;
    }

    /// <summary>Opens the current snapshot's content for the state machine. Reading its last byte
    /// verifies the checksum of the whole file.</summary>
    /// <returns>A forward-only stream over exactly the content; it outlives a newer snapshot.
    /// </returns>
    /// <exception cref="PgraftException">No snapshot (<see cref="StatusCode.WrongState"/>), or it
    /// is damaged, now or while it is read (<see cref="StatusCode.IoError"/>).</exception>
    public Stream OpenRead() => OpenCurrent((file, info) => new SnapshotReadStream(file, info));

    // What to throw when the content that is being read turns out to make no sense.
    internal static PgraftException Damaged(Stream content, InvalidDataException cause)
    {
        var stream = (SnapshotReadStream)content;
        return StorageErrors.Damaged(stream.Path, stream.FileOffset, cause.Message);
    }

    /// <summary>Opens the current snapshot's file as it is, to be sent to a follower.</summary>
    /// <param name="info">What is being sent.</param>
    /// <returns>A seekable stream over the file; it outlives a newer snapshot.</returns>
    /// <exception cref="PgraftException">No snapshot (<see cref="StatusCode.WrongState"/>), or it
    /// cannot be read (<see cref="StatusCode.IoError"/>).</exception>
    public Stream OpenRaw(out SnapshotInfo info)
    {
        SnapshotInfo? opened = null;
        Stream stream = OpenCurrent((file, current) =>
        {
            opened = current;
            return new SnapshotReadStream(file, current.TotalBytes);
        });
        info = opened!;
        return stream;
    }

    /// <summary>Begins a snapshot of this node's state.</summary>
    /// <param name="index">Last applied index.</param>
    /// <param name="term">Its term.</param>
    /// <param name="configurationIndex">Index of the configuration in force there.</param>
    /// <param name="configuration">That configuration; copied. At most 1 MiB.</param>
    /// <param name="dataVersion">Data version of the content to come; 0 = not said.</param>
    /// <param name="token">Cancelled, what is written no longer rests in between, for who is to end
    /// it soon.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.IoError"/>,
    /// <see cref="StatusCode.DiskFull"/>.</exception>
    public SnapshotWriter CreateWriter(
        long index, long term, long configurationIndex, ReadOnlySpan<byte> configuration,
        int dataVersion, CancellationToken token)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(index);
        ArgumentOutOfRangeException.ThrowIfNegative(term);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(
            configuration.Length, SnapshotFormat.MaxConfigurationBytes);
        var info = new SnapshotInfo(
            index, term, configurationIndex, configuration.ToArray(), 0, PathOf(index, term))
        {
            DataVersion = dataVersion,
        };
        SnapshotFile file = NewFile(token);
        try
        {
            return new SnapshotWriter(this, file, info);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Begins to take in a snapshot file.</summary>
    /// <param name="index">Index the sender says it covers.</param>
    /// <param name="term">Term of that entry.</param>
    /// <param name="totalBytes">Length of the file.</param>
    /// <exception cref="PgraftException"><see cref="StatusCode.BadArgument"/>: no snapshot is so
    /// short. <see cref="StatusCode.IoError"/>, <see cref="StatusCode.DiskFull"/>.</exception>
    public SnapshotReceiver ReceiveWriter(long index, long term, long totalBytes)
    {
        if (totalBytes < SnapshotFormat.HeaderBytes(0) + SnapshotFormat.FooterBytes)
        {
            throw new PgraftException(
                StatusCode.BadArgument, $"a snapshot cannot be {totalBytes} bytes long");
        }

        return new SnapshotReceiver(this, NewFile(default), index, term, totalBytes);
    }

    // Makes a finished file the current snapshot.
    internal SnapshotInfo Publish(SnapshotFile file, SnapshotInfo info)
    {
        info = info with { Path = PathOf(info.Index, info.Term) };
        lock (_gate)
        {
            if (_current is { } current && current.Index >= info.Index)
            {
                throw new PgraftException(
                    StatusCode.WrongState,
                    $"a snapshot of index {info.Index} is not newer than that of {current.Index}");
            }

            file.Publish(info.Path);
            Volatile.Write(ref _current, info);
            DeleteOthers(Path.GetFileName(info.Path));
            return info;
        }
    }

    private string PathOf(long index, long term) =>
        Path.Combine(_directory, SnapshotFormat.NameOf(index, term));

    private SnapshotFile NewFile(CancellationToken token)
    {
        long number = Interlocked.Increment(ref _temporaryFiles);
        return new SnapshotFile(
            _io, Path.Combine(_directory, SnapshotFormat.TemporaryNameOf(number)), token: token);
    }

    private Stream OpenCurrent(Func<IStorageFile, SnapshotInfo, Stream> open)
    {
        lock (_gate)
        {
            SnapshotInfo info = _current
                ?? throw new PgraftException(StatusCode.WrongState, "there is no snapshot yet");
            IStorageFile file = _io.OpenRead(info.Path);
            try
            {
                return open(file, info);
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
    }

    private void Load()
    {
        var names = new List<string>();
        foreach (string name in _io.List(_directory))
        {
            if (SnapshotFormat.IsTemporaryName(name))
            {
                _io.Delete(Path.Combine(_directory, name));
            }
            else if (SnapshotFormat.IsName(name))
            {
                names.Add(name);
            }
        }

        // The numbers in names have one width, so this is by index, newest first.
        names.Sort((left, right) => string.CompareOrdinal(right, left));
        PgraftException? newest = null;
        foreach (string name in names)
        {
            if (TryLoad(name, ref newest))
            {
                return;
            }
        }

        if (newest is not null)
        {
            throw newest;
        }
    }

    private bool TryLoad(string name, ref PgraftException? newest)
    {
        string path = Path.Combine(_directory, name);
        try
        {
            using IStorageFile file = _io.OpenRead(path);
            SnapshotInfo info = SnapshotFormat.ReadInfo(file);
            if (SnapshotFormat.NameOf(info.Index, info.Term) != name)
            {
                throw StorageErrors.Damaged(path, 16, $"it is the snapshot of index {info.Index}");
            }

            _current = info;
            return true;
        }
        catch (PgraftException e) when (e.Code == StatusCode.IoError)
        {
            newest ??= e;
            _rejected.Add($"{e.Message}: {e.Detail}");
            return false;
        }
    }

    private void DeleteOthers(string keep)
    {
        foreach (string name in ListOrNone())
        {
            if (name != keep && SnapshotFormat.IsName(name))
            {
                AtomicFile.TryDelete(_io, Path.Combine(_directory, name));
            }
        }
    }

    // The new snapshot is durable; what cannot be listed now is deleted after the next one.
    private IReadOnlyList<string> ListOrNone()
    {
        try
        {
            return _io.List(_directory);
        }
        catch (PgraftException)
        {
            return [];
        }
    }
}
