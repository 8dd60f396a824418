// Term and vote on disk: what a voter must never forget (Ongaro 2014, figure 3.1).
//
// One 32-byte file, replaced as a whole (AtomicFile): after a crash it is the old pair or the new.
// Nothing is overwritten in place, so a bad checksum is damage, never a torn write; starting with
// an older vote instead could elect two leaders in one term, so it is refused.
//
// Threading: Save by one thread at a time (checked by a lock); Term and VotedFor from any thread.
// Failure: a Save that ran out of space leaves the old pair valid, on disk and here. After another
// failure it is unknown which pair a restart will find: every later Save throws.
using System.Buffers.Binary;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

/// <summary>The current term and the vote given in it, durable.</summary>
/// <remarks><i>Invariant</i>: the term never decreases; a vote never changes in a term.</remarks>
public sealed class TermStore
{
    private const string FileName = "term";
    private const ulong Magic = 0x314D524554524750; // "PGRTERM1"
    private const int FileBytes = 32;
    private const int FaithOffset = 20;
    private const int ChecksumOffset = 28;

    private readonly IStorageIo _io;
    private readonly string _path;
    private readonly Lock _gate = new();
    private readonly BusyTime _busy = new();
    private PgraftException? _failure;
    private long _term;
    private int _votedFor;
    private int _faithMs;

    private TermStore(IStorageIo io, string path)
    {
        _io = io;
        _path = path;
    }

    /// <summary>Current term; 0 before the first.</summary>
    public long Term => Volatile.Read(ref _term);

    /// <summary>Node id voted for in <see cref="Term"/>; 0 = none. To read both as of one moment,
    /// call <see cref="Current"/>.</summary>
    public int VotedFor => Volatile.Read(ref _votedFor);

    /// <summary>For how long after a leader's sign of life this voter has last promised to vote for
    /// nobody else, in milliseconds; 0 = not said yet.</summary>
    public int FaithMs => Volatile.Read(ref _faithMs);

    /// <summary>How long the disk has had the newest term or vote in hand, in milliseconds; 0 when
    /// it has none.</summary>
    public long BusyMs => _busy.Ms;

    /// <summary>Term and vote as of one moment.</summary>
    public (long Term, int VotedFor) Current
    {
        get
        {
            lock (_gate)
            {
                return (_term, _votedFor);
            }
        }
    }

    /// <summary>Reads the file, or begins with term 0 and no vote where there is none.</summary>
    /// <param name="directory">Existing directory.</param>
    /// <exception cref="PgraftException">The file is damaged or cannot be read.</exception>
    public static TermStore Open(string directory) => Open(directory, PhysicalIo.Instance);

    internal static TermStore Open(string directory, IStorageIo io)
    {
        var store = new TermStore(io, Path.Combine(directory, FileName));
        AtomicFile.TryDelete(io, store._path + AtomicFile.TemporarySuffix);
        if (io.Exists(store._path))
        {
            store.Decode(AtomicFile.Read(io, store._path, FileBytes));

            // The name may have been found in the kernel's memory only: a process that was killed
            // between rename and directory sync leaves that behind.
            io.SyncDirectory(directory);
        }

        return store;
    }

    /// <summary>Replaces term and vote; returns only when they are durable.</summary>
    /// <param name="term">Not less than <see cref="Term"/>.</param>
    /// <param name="votedFor">Node id, 0 = none; unchanged within a term once given.</param>
    /// <exception cref="InvariantViolatedException">The term would go back or a vote change.
    /// </exception>
    /// <exception cref="PgraftException"><see cref="StatusCode.IoError"/> or
    /// <see cref="StatusCode.DiskFull"/>; term and vote are then unchanged here.</exception>
    public void Save(long term, int votedFor)
    {
        lock (_gate)
        {
            RequireAllowed(term, votedFor);
            if (term == _term && votedFor == _votedFor)
            {
                return;
            }

            WriteThrough(Encode(term, votedFor, _faithMs));
            Volatile.Write(ref _votedFor, votedFor);
            Volatile.Write(ref _term, term);
        }
    }

    /// <summary>Replaces <see cref="FaithMs"/>; returns only when it is durable.</summary>
    /// <exception cref="PgraftException">As of <see cref="Save"/>.</exception>
    public void KeepFaith(int faithMs)
    {
        lock (_gate)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(faithMs);
            RequireAllowed(_term, _votedFor);
            if (faithMs != _faithMs)
            {
                WriteThrough(Encode(_term, _votedFor, faithMs));
                Volatile.Write(ref _faithMs, faithMs);
            }
        }
    }

    private void RequireAllowed(long term, int votedFor)
    {
        if (_failure is not null)
        {
            throw StorageErrors.Again(_failure);
        }

        ArgumentOutOfRangeException.ThrowIfNegative(votedFor);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(votedFor, Limits.MaxNodeId);
        Invariants.OneVotePerTerm(_term, _votedFor, term, votedFor);
    }

    private void WriteThrough(byte[] content)
    {
        bool staged = false;
        _busy.Began();
        try
        {
            string temporary = AtomicFile.Stage(_io, _path, content);
            staged = true;
            AtomicFile.Publish(_io, temporary, _path);
        }
        catch (PgraftException e) when (staged || e.Code != StatusCode.DiskFull)
        {
            _failure = e;
            throw;
        }
        finally
        {
            _busy.Ended();
        }
    }

    private static byte[] Encode(long term, int votedFor, int faithMs)
    {
        byte[] content = new byte[FileBytes];
        BinaryPrimitives.WriteUInt64LittleEndian(content, Magic);
        BinaryPrimitives.WriteInt64LittleEndian(content.AsSpan(8), term);
        BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(16), votedFor);
        BinaryPrimitives.WriteInt32LittleEndian(content.AsSpan(FaithOffset), faithMs);
        BinaryPrimitives.WriteUInt32LittleEndian(
            content.AsSpan(ChecksumOffset), Crc32C.Of(content.AsSpan(0, ChecksumOffset)));
        return content;
    }

    private void Decode(byte[] content)
    {
        if (content.Length != FileBytes)
        {
            throw StorageErrors.Damaged(
                _path, content.Length, $"it should be {FileBytes} bytes long");
        }

        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(ChecksumOffset));
        if (BinaryPrimitives.ReadUInt64LittleEndian(content) != Magic
            || stored != Crc32C.Of(content.AsSpan(0, ChecksumOffset)))
        {
            throw StorageErrors.Damaged(_path, 0, "its checksum is wrong");
        }

        _term = BinaryPrimitives.ReadInt64LittleEndian(content.AsSpan(8));
        _votedFor = BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan(16));
        _faithMs = BinaryPrimitives.ReadInt32LittleEndian(content.AsSpan(FaithOffset));
    }
}
