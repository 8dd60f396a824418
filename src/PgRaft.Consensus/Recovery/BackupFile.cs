// A backup file that is read: first its header and footer, then all of it. Nothing is taken from it
// before the checksum over the whole file was right, and what is copied out of it is summed again.
// Threading: one thread. Failure: a damaged file is PgraftException(BadArgument) with file and
// offset; one that cannot be read is IoError.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using PgRaft.Core.Snapshots;

namespace PgRaft.Consensus.Recovery;

internal sealed class BackupFile : IDisposable
{
    private const int PieceBytes = 64 * 1024;

    private readonly IStorageFile _file;
    private readonly int _headerBytes;

    private BackupFile(IStorageFile file)
    {
        _file = file;
        Info = BackupFormat.ReadInfo(file, out _headerBytes);
    }

    /// <summary>What the header says.</summary>
    public BackupInfo Info { get; }

    /// <summary>Data version of the state; known once it was verified, else 0.</summary>
    public int DataVersion { get; private set; }

    private long ContentBytes => Info.TotalBytes - _headerBytes - BackupFormat.FooterBytes;

    /// <summary>Opens a file and reads its header and footer.</summary>
    public static BackupFile Open(IStorageIo io, string path)
    {
        IStorageFile file = io.OpenForeign(ClientPath.Checked(path));
        try
        {
            return new BackupFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Reads the whole file and compares its checksum.</summary>
    public void VerifyChecksum(CancellationToken token) => CopyContent(Stream.Null, token);

    /// <summary>Reads the state and compares it with what the header says of it.</summary>
    public void VerifyState(CancellationToken token)
    {
        // Not disposed: that would close the file.
        var content = new SnapshotReadStream(_file, ContentBytes, _headerBytes);
        StateImage image = Decode(content, token);
        bool isRight = image.AppliedIndex == Info.Index && image.AppliedTerm == Info.Term
            && image.Kv.Revision == Info.Revision
            && StateHash.ComputeHex(image, token) == Info.StateHash;
        if (!isRight)
        {
            throw BackupFormat.Damaged(
                _file.Path, _headerBytes, "its content is not what its header says");
        }

        DataVersion = image.DataVersion;
    }

    /// <summary>Copies the state machine's bytes; throws when the checksum is wrong, which is
    /// known at the end only.</summary>
    public void CopyContent(Stream to, CancellationToken token)
    {
        byte[] piece = new byte[PieceBytes];
        long end = Info.TotalBytes - BackupFormat.ChecksumBytes;
        uint crc = Crc32C.Seed;
        for (long at = 0; at < end;)
        {
            token.ThrowIfCancellationRequested();
            int count = (int)Math.Min(piece.Length, end - at);
            BackupFormat.Require(_file, at, piece.AsSpan(0, count));
            crc = Crc32C.Append(crc, piece.AsSpan(0, count));
            int from = (int)Math.Clamp(_headerBytes - at, 0, count);
            int until = (int)Math.Clamp(_headerBytes + ContentBytes - at, from, count);
            to.Write(piece.AsSpan(from..until));
            at += count;
        }

        if (Crc32C.Finish(crc) != BackupFormat.ReadChecksum(_file))
        {
            throw BackupFormat.Damaged(_file.Path, end, "its checksum is wrong");
        }
    }

    public void Dispose() => _file.Dispose();

    private StateImage Decode(SnapshotReadStream content, CancellationToken token)
    {
        try
        {
            return SnapshotReader.Read(content, token);
        }
        catch (InvalidDataException e)
        {
            throw BackupFormat.Damaged(_file.Path, content.FileOffset, e.Message);
        }
    }
}
