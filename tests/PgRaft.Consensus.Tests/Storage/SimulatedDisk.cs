// A disk that behaves as badly as disks may: until synced, each 512-byte sector of a write and each
// change of a name may or may not survive a power failure (names survive in order). It can lose
// power at any mutating operation or sync, fail a sync (and then forgets what was to be written),
// be slow, hang, lie about syncs, and run out of space.
// Threading: one lock over everything; a held or slow sync waits outside it.
using System.Text;
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

internal enum Survival
{
    Nothing,
    Everything,
    Random,
}

internal sealed partial class SimulatedDisk : IStorageIo
{
    private const int SectorBytes = 512;

    private readonly object _gate = new();
    private static readonly ManualResetEventSlim Never = new();
    private readonly SortedDictionary<string, Inode> _names = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, Inode> _durableNames = new(StringComparer.Ordinal);
    private readonly List<NameChange> _unsynced = [];
    private bool _off;

    // Operations that change something, since the disk was made or rebooted.
    internal int Steps { get; private set; }

    internal int Syncs { get; private set; }

    // 0 = never. The step itself is half done: a write reaches the cache, the rest does nothing.
    internal int PowerOffAtStep { get; set; }

    internal int FailSync { get; set; }

    // Only syncs of files whose name contains this fail; empty = all.
    internal string FailSyncOf { get; set; } = "";

    internal long SpaceBytes { get; set; } = long.MaxValue;

    // 0 = never. The power goes before that sync does anything.
    internal int PowerOffAtSync { get; set; }

    internal long UsedBytes
    {
        get
        {
            lock (_gate)
            {
                return _names.Values.Sum(inode => (long)inode.Live.Length);
            }
        }
    }

    // When set, a sync waits for it.
    internal ManualResetEventSlim? HoldSyncs { get; set; }

    // Only syncs of files whose name contains this wait; empty = all.
    internal string HoldSyncsOf { get; set; } = "";

    // When set, deleting a file waits for it.
    internal ManualResetEventSlim? HoldDeletes { get; set; }

    // Every sync takes this much longer.
    internal TimeSpan SyncLatency { get; set; }

    // A disk that lies, as one with a cache of its own does: a sync of these files brings to the
    // medium what was there at the sync before.
    internal Func<string, bool>? Lags { get; set; }

    // The same for the names of these files, when their directory is synced.
    internal Func<string, bool>? NamesLag { get; set; }

    // The power goes with the first operation after a name was held back.
    internal bool PowerOffAfterLag { get; set; }

    internal ManualResetEventSlim SyncReached { get; } = new();

    // Once someone is in a sync, or false after ten seconds.
    internal bool WaitForSync() =>
        SyncReached.Wait(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);

    internal bool IsOff => Volatile.Read(ref _off);

    // From now on every operation fails; see Reboot.
    internal void PowerOff()
    {
        lock (_gate)
        {
            Volatile.Write(ref _off, true);
        }
    }

    // The sync after next ones fails, whichever file it is of.
    internal void FailSyncSoon(int syncs)
    {
        lock (_gate)
        {
            FailSync = Syncs + syncs;
        }
    }

    public IStorageFile Open(string path) => OpenRead(path);

    public IStorageFile OpenRead(string path)
    {
        lock (_gate)
        {
            RequirePower();
            return _names.TryGetValue(path, out Inode? inode)
                ? new OpenFile(this, path, inode)
                : throw new PgraftException(StatusCode.IoError, $"cannot open \"{path}\"");
        }
    }

    public IStorageFile Create(string path)
    {
        lock (_gate)
        {
            Step();
            var inode = new Inode();
            Change(path, names => names[path] = inode);
            return new OpenFile(this, path, inode);
        }
    }

    public IStorageFile CreateNew(string path)
    {
        RequireFree(path);
        return Create(path);
    }

    public IStorageFile OpenForeign(string path) => OpenRead(path);

    public void RenameNew(string source, string target)
    {
        RequireFree(target);
        Rename(source, target);
    }

    public void Rename(string source, string target)
    {
        lock (_gate)
        {
            Step();
            Inode inode = _names[source];
            Change(target, names =>
            {
                names.Remove(source);
                names[target] = inode;
            });
        }
    }

    public void Delete(string path)
    {
        HoldDeletes?.Wait();
        lock (_gate)
        {
            Step();
            if (_names.ContainsKey(path))
            {
                Change(path, names => names.Remove(path));
            }
        }
    }

    public IReadOnlyList<string> List(string directory)
    {
        lock (_gate)
        {
            RequirePower();
            return [.. _names.Keys.Where(path => Path.GetDirectoryName(path) == directory)
                .Select(path => Path.GetFileName(path))];
        }
    }

    public bool Exists(string path)
    {
        lock (_gate)
        {
            return _names.ContainsKey(path);
        }
    }

    public void CreateDirectory(string path)
    {
    }

    public void SyncDirectory(string path)
    {
        lock (_gate)
        {
            Step();
            CountSync(path);
            var held = _unsynced.FindAll(change => IsHeldBack(change, path));
            var reached = _unsynced.FindAll(c => c.Directory == path && !held.Contains(c));
            reached.ForEach(change => change.Change(_durableNames));
            _unsynced.RemoveAll(reached.Contains);
            held.ForEach(change => change.WasSynced = true);
            if (held.Count > 0 && PowerOffAfterLag)
            {
                PowerOffAtStep = Steps + 1;
            }
        }
    }

    // What a machine finds when power comes back.
    internal SimulatedDisk Reboot(Survival survival, Random random)
    {
        lock (_gate)
        {
            int kept = survival switch
            {
                Survival.Nothing => 0,
                Survival.Everything => _unsynced.Count,
                _ => random.Next(_unsynced.Count + 1),
            };
            var names = new SortedDictionary<string, Inode>(_durableNames, StringComparer.Ordinal);
            foreach (var change in _unsynced.Take(kept))
            {
                change.Change(names);
            }

            var rebooted = new SimulatedDisk();
            foreach ((string path, Inode inode) in names)
            {
                Inode survivor = inode.Survive(survival, random);
                rebooted._names[path] = survivor;
                rebooted._durableNames[path] = survivor;
            }

            return rebooted;
        }
    }

    // The same content, as after a kill -9: the cache is still there, synced or not.
    internal SimulatedDisk Clone() => Reboot(Survival.Everything, new Random(0));

    internal byte[] Content(string path)
    {
        lock (_gate)
        {
            return _names[path].Live.AsSpan().ToArray();
        }
    }

    // What a power failure now would certainly leave; null when there is no such file.
    internal byte[]? DurableContent(string path)
    {
        lock (_gate)
        {
            return _durableNames.TryGetValue(path, out Inode? inode) ? inode.Durable : null;
        }
    }

    // Changes a byte behind everyone's back.
    internal void Flip(string path, long offset)
    {
        lock (_gate)
        {
            _names[path].Live.AsSpan()[(int)offset] ^= 0x10;
            _names[path].Durable[(int)offset] ^= 0x10;
        }
    }

    // As if these bytes had never been written.
    internal void Blank(string path, int offset, int count)
    {
        lock (_gate)
        {
            _names[path].Live.AsSpan().Slice(offset, count).Clear();
            _names[path].Durable.AsSpan(offset, count).Clear();
        }
    }

    internal void Cut(string path, int length)
    {
        lock (_gate)
        {
            Inode inode = _names[path];
            inode.Live.Length = length;
            inode.Durable = inode.Live.AsSpan().ToArray();
        }
    }

    public override string ToString()
    {
        var text = new StringBuilder();
        foreach ((string path, Inode inode) in _names)
        {
            text.Append(path).Append(' ').Append(inode.Live.Length).AppendLine();
        }

        return text.ToString();
    }

    private void Change(string path, Action<SortedDictionary<string, Inode>> change)
    {
        change(_names);
        _unsynced.Add(new NameChange(Path.GetDirectoryName(path)!, path, change));
    }

    private bool IsHeldBack(NameChange change, string directory) =>
        change.Directory == directory && !change.WasSynced && NamesLag?.Invoke(change.Path) == true;

    private void RequireFree(string path)
    {
        if (Exists(path))
        {
            throw StorageErrors.OfClientsFile(17, "create", path, "File exists");
        }
    }

    private void Step()
    {
        RequirePower();
        Steps++;
        if (Steps == PowerOffAtStep)
        {
            Volatile.Write(ref _off, true);
            RequirePower();
        }
    }

    private void CountSync(string path)
    {
        if (!path.Contains(FailSyncOf, StringComparison.Ordinal))
        {
            return;
        }

        Syncs++;
        if (Syncs == PowerOffAtSync)
        {
            Volatile.Write(ref _off, true);
            RequirePower();
        }

        if (Syncs == FailSync)
        {
            throw new PgraftException(StatusCode.IoError, $"cannot sync \"{path}\": simulated");
        }
    }

    private void RequirePower()
    {
        if (_off)
        {
            throw new PgraftException(StatusCode.IoError, "the power is off");
        }
    }

    private void WriteTo(Inode inode, string path, long offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            RequirePower();
            int growth = (int)Math.Max(0, offset + data.Length - inode.Live.Length);
            if (SpaceBytes != long.MaxValue
                && _names.Values.Sum(other => (long)other.Live.Length) + growth > SpaceBytes)
            {
                throw StorageErrors.FromErrno(28, "write", path, "No space left on device");
            }

            inode.Write((int)offset, data);
            Step();
        }
    }

    private void SyncFile(Inode inode, string path)
    {
        SyncReached.Set();
        (path.Contains(HoldSyncsOf, StringComparison.Ordinal) ? HoldSyncs : null)?.Wait();
        if (SyncLatency > TimeSpan.Zero)
        {
            // The fault itself: time passes in the disk.
            Never.Wait(SyncLatency);
        }

        lock (_gate)
        {
            Step();
            try
            {
                CountSync(path);
            }
            catch (PgraftException) when (!_off)
            {
                // As kernels do: a failed sync forgets what it did not write.
                inode.Forget();
                throw;
            }

            if (Lags?.Invoke(path) == true)
            {
                inode.WriteLate();
            }
            else
            {
                inode.WriteDirty();
            }
        }
    }

    private sealed record NameChange(
        string Directory, string Path, Action<SortedDictionary<string, Inode>> Change)
    {
        // A sync of its directory was answered, and it was held back.
        internal bool WasSynced { get; set; }
    }

    private sealed class OpenFile(SimulatedDisk disk, string path, Inode inode) : IStorageFile
    {
        private bool _disposed;

        public string Path => path;

        public long Length => inode.Live.Length;

        public int Read(long offset, Span<byte> buffer)
        {
            lock (disk._gate)
            {
                ObjectDisposedException.ThrowIf(_disposed, this);
                disk.RequirePower();
                int count = (int)Math.Clamp(inode.Live.Length - offset, 0, buffer.Length);
                if (count > 0)
                {
                    inode.Live.AsSpan().Slice((int)offset, count).CopyTo(buffer);
                }

                return count;
            }
        }

        public void Write(long offset, ReadOnlySpan<byte> data) =>
            disk.WriteTo(inode, path, offset, data);

        public void Sync() => disk.SyncFile(inode, path);

        public void Dispose()
        {
            lock (disk._gate)
            {
                _disposed = true;
            }
        }
    }
}
