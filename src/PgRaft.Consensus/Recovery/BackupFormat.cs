// Header and footer of a backup file (docs/storage.md). The header says whose state it is and as of
// when; the footer says that the file is complete, and ends it with a checksum over everything.
// Threading: stateless. Failure: a file that is no backup, or a damaged one, is the client's wrong
// argument: PgraftException(BadArgument) with file and offset.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using PgRaft.Consensus.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Recovery;

internal static class BackupFormat
{
    internal const int FooterBytes = 20;

    // The last field of the file: everything before it is summed.
    internal const int ChecksumBytes = sizeof(uint);

    private const uint Version = 1;
    private const int FixedBytes = 80;
    private const int HashBytes = 16;
    private const int HashOffset = 48;
    private const int MaxHeaderBytes = 4096;

    private static ReadOnlySpan<byte> HeaderMagic => "PGRTBKP1"u8;

    private static ReadOnlySpan<byte> FooterMagic => "PGRTBKE1"u8;

    internal static byte[] EncodeHeader(BackupInfo info)
    {
        byte[] clusterId = Encoding.UTF8.GetBytes(info.ClusterId);
        byte[] version = Encoding.UTF8.GetBytes(info.Version);
        byte[] bytes = new byte[FixedBytes + clusterId.Length + version.Length + ChecksumBytes];
        Span<byte> to = bytes;
        HeaderMagic.CopyTo(to);
        BinaryPrimitives.WriteUInt32LittleEndian(to[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(to[12..], bytes.Length);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], info.Index);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], info.Term);
        BinaryPrimitives.WriteInt64LittleEndian(to[32..], info.CurrentTerm);
        BinaryPrimitives.WriteInt64LittleEndian(to[40..], info.Revision);
        Convert.FromHexString(info.StateHash).CopyTo(to[HashOffset..]);
        BinaryPrimitives.WriteInt64LittleEndian(to[64..], info.TakenAt.ToUnixTimeMilliseconds());
        BinaryPrimitives.WriteInt32LittleEndian(to[72..], info.NodeId);
        BinaryPrimitives.WriteUInt16LittleEndian(to[76..], (ushort)clusterId.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(to[78..], (ushort)version.Length);
        clusterId.CopyTo(to[FixedBytes..]);
        version.CopyTo(to[(FixedBytes + clusterId.Length)..]);
        BinaryPrimitives.WriteUInt32LittleEndian(
            to[^ChecksumBytes..], Crc32C.Of(to[..^ChecksumBytes]));
        return bytes;
    }

    // All of the footer; the checksum given is that of the bytes before it.
    internal static byte[] EncodeFooter(long totalBytes, uint runningChecksum)
    {
        byte[] bytes = new byte[FooterBytes];
        Span<byte> to = bytes;
        FooterMagic.CopyTo(to);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], totalBytes);
        uint crc = Crc32C.Append(runningChecksum, to[..^ChecksumBytes]);
        BinaryPrimitives.WriteUInt32LittleEndian(to[^ChecksumBytes..], Crc32C.Finish(crc));
        return bytes;
    }

    // Header, footer and length; not the checksum over the content.
    internal static BackupInfo ReadInfo(IStorageFile file, out int headerBytes)
    {
        byte[] header = ReadHeader(file);
        headerBytes = header.Length;
        ReadFooter(file, header.Length);
        int clusterIdBytes = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(76));
        int versionBytes = BinaryPrimitives.ReadUInt16LittleEndian(header.AsSpan(78));
        if (FixedBytes + clusterIdBytes + versionBytes + ChecksumBytes != header.Length)
        {
            throw Damaged(file.Path, 76, "the texts do not fill its header");
        }

        return new BackupInfo
        {
            Index = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(16)),
            Term = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(24)),
            CurrentTerm = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(32)),
            Revision = BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(40)),
            StateHash = Convert.ToHexStringLower(header, HashOffset, HashBytes),
            TakenAt = TimeOf(BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(64)), file.Path),
            NodeId = BinaryPrimitives.ReadInt32LittleEndian(header.AsSpan(72)),
            ClusterId = Encoding.UTF8.GetString(header, FixedBytes, clusterIdBytes),
            Version = Encoding.UTF8.GetString(header, FixedBytes + clusterIdBytes, versionBytes),
            TotalBytes = file.Length,
        };
    }

    internal static uint ReadChecksum(IStorageFile file)
    {
        Span<byte> bytes = stackalloc byte[ChecksumBytes];
        Require(file, file.Length - ChecksumBytes, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    internal static void Require(IStorageFile file, long offset, Span<byte> into)
    {
        if (file.Read(offset, into) < into.Length)
        {
            throw Damaged(file.Path, offset, "the file ends there");
        }
    }

    internal static PgraftException Damaged(string path, long offset, string what) => new(
        StatusCode.BadArgument,
        string.Create(
            CultureInfo.InvariantCulture, $"backup \"{path}\" is damaged at offset {offset}"),
        what,
        "Nothing was changed. Use another backup.");

    private static byte[] ReadHeader(IStorageFile file)
    {
        Span<byte> start = stackalloc byte[FixedBytes];
        if (file.Length < FixedBytes + ChecksumBytes + FooterBytes)
        {
            throw Damaged(file.Path, file.Length, "it is too short for a backup");
        }

        Require(file, 0, start);
        if (!start.StartsWith(HeaderMagic))
        {
            throw new PgraftException(
                StatusCode.BadArgument, $"\"{file.Path}\" is not a backup of pgraft");
        }

        RequireVersion(file.Path, BinaryPrimitives.ReadUInt32LittleEndian(start[8..]));
        int headerBytes = BinaryPrimitives.ReadInt32LittleEndian(start[12..]);
        if (headerBytes is < FixedBytes + ChecksumBytes or > MaxHeaderBytes)
        {
            throw Damaged(file.Path, 12, "its header has an impossible length");
        }

        byte[] header = new byte[headerBytes];
        Require(file, 0, header);
        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(^ChecksumBytes..));
        return stored == Crc32C.Of(header.AsSpan(..^ChecksumBytes))
            ? header
            : throw Damaged(
                file.Path, headerBytes - ChecksumBytes, "its header checksum is wrong");
    }

    private static void RequireVersion(string path, uint version)
    {
        if (version != Version)
        {
            throw new PgraftException(
                StatusCode.BadArgument,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"backup \"{path}\" has format {version}, this version reads {Version}"),
                null,
                "Restore it with the version of pgraft that wrote it.");
        }
    }

    private static void ReadFooter(IStorageFile file, int headerBytes)
    {
        Span<byte> footer = stackalloc byte[FooterBytes];
        long offset = file.Length - FooterBytes;
        Require(file, offset, footer);
        if (offset < headerBytes || !footer.StartsWith(FooterMagic)
            || BinaryPrimitives.ReadInt64LittleEndian(footer[8..]) != file.Length)
        {
            throw Damaged(file.Path, offset, "the file is not complete");
        }
    }

    private static DateTimeOffset TimeOf(long ms, string path)
    {
        bool exists = ms >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds()
            && ms <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds();
        return exists
            ? DateTimeOffset.FromUnixTimeMilliseconds(ms)
            : throw Damaged(path, 64, "its time does not exist");
    }
}
