// Header and footer of a snapshot file (docs/storage.md). The header can be read and checked by
// itself; the footer says that the file is complete, and ends it with a checksum over everything.
// Threading: stateless. Failure: damage is reported with file and offset.
using System.Buffers.Binary;
using System.Globalization;
using PgRaft.Core;

namespace PgRaft.Consensus.Storage;

internal static class SnapshotFormat
{
    internal const int FooterBytes = 20;
    internal const int MaxConfigurationBytes = 1024 * 1024;

    // The last field of the file: everything before it is summed.
    internal const int ChecksumBytes = sizeof(uint);

    private const ulong HeaderMagic = 0x31504E5354524750; // "PGRTSNP1"
    private const ulong FooterMagic = 0x31444E4554524750; // "PGRTEND1"
    private const uint Version = 1;
    private const int FixedBytes = 48;
    private const int DataVersionOffset = 44;
    private const string Prefix = "snapshot-";
    private const string Suffix = ".snap";
    private const string TemporaryPrefix = "unfinished-";

    internal static int HeaderBytes(int configurationBytes) =>
        FixedBytes + configurationBytes + ChecksumBytes;

    internal static string NameOf(long index, long term) => string.Create(
        CultureInfo.InvariantCulture, $"{Prefix}{index:D20}-{term:D20}{Suffix}");

    internal static bool IsName(string name) =>
        name.StartsWith(Prefix, StringComparison.Ordinal)
        && name.EndsWith(Suffix, StringComparison.Ordinal);

    internal static string TemporaryNameOf(long number) => string.Create(
        CultureInfo.InvariantCulture,
        $"{TemporaryPrefix}{number}{Suffix}{AtomicFile.TemporarySuffix}");

    internal static bool IsTemporaryName(string name) =>
        name.StartsWith(TemporaryPrefix, StringComparison.Ordinal)
        && name.EndsWith(Suffix + AtomicFile.TemporarySuffix, StringComparison.Ordinal);

    internal static byte[] EncodeHeader(
        long index, long term, long configurationIndex, int dataVersion,
        ReadOnlySpan<byte> configuration)
    {
        byte[] bytes = new byte[HeaderBytes(configuration.Length)];
        Span<byte> to = bytes;
        BinaryPrimitives.WriteUInt64LittleEndian(to, HeaderMagic);
        BinaryPrimitives.WriteUInt32LittleEndian(to[8..], Version);
        BinaryPrimitives.WriteInt32LittleEndian(to[12..], bytes.Length);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], index);
        BinaryPrimitives.WriteInt64LittleEndian(to[24..], term);
        BinaryPrimitives.WriteInt64LittleEndian(to[32..], configurationIndex);
        BinaryPrimitives.WriteInt32LittleEndian(to[40..], configuration.Length);
        BinaryPrimitives.WriteInt32LittleEndian(to[DataVersionOffset..], dataVersion);
        configuration.CopyTo(to[FixedBytes..]);
        int checkedBytes = bytes.Length - ChecksumBytes;
        BinaryPrimitives.WriteUInt32LittleEndian(to[checkedBytes..], Crc32C.Of(to[..checkedBytes]));
        return bytes;
    }

    // All of the footer; the checksum given is that of the bytes before it.
    internal static byte[] EncodeFooter(long totalBytes, uint runningChecksum)
    {
        byte[] bytes = new byte[FooterBytes];
        Span<byte> to = bytes;
        BinaryPrimitives.WriteUInt64LittleEndian(to, FooterMagic);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], totalBytes);
        uint crc = Crc32C.Append(runningChecksum, to[..(FooterBytes - ChecksumBytes)]);
        BinaryPrimitives.WriteUInt32LittleEndian(
            to[(FooterBytes - ChecksumBytes)..], Crc32C.Finish(crc));
        return bytes;
    }

    // Header, footer and length; not the checksum over the content.
    internal static SnapshotInfo ReadInfo(IStorageFile file)
    {
        long length = file.Length;
        if (length < HeaderBytes(0) + FooterBytes)
        {
            throw StorageErrors.Damaged(file.Path, length, "it is too short for a snapshot");
        }

        byte[] header = ReadHeader(file, length);
        ReadFooter(file, length);
        return new SnapshotInfo(
            BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(16)),
            BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(24)),
            BinaryPrimitives.ReadInt64LittleEndian(header.AsSpan(32)),
            header.AsMemory(FixedBytes, header.Length - FixedBytes - ChecksumBytes),
            length,
            file.Path)
        {
            DataVersion = ReadDataVersion(header, file.Path),
        };
    }

    internal static uint ReadChecksum(IStorageFile file, long totalBytes)
    {
        Span<byte> bytes = stackalloc byte[ChecksumBytes];
        Require(file, totalBytes - ChecksumBytes, bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(bytes);
    }

    internal static void Require(IStorageFile file, long offset, Span<byte> into)
    {
        if (file.Read(offset, into) < into.Length)
        {
            throw StorageErrors.Damaged(file.Path, offset, "the file ends there");
        }
    }

    // Not damage: it must neither be passed over nor taken in.
    private static int ReadDataVersion(ReadOnlySpan<byte> header, string path)
    {
        int version = BinaryPrimitives.ReadInt32LittleEndian(header[DataVersionOffset..]);
        return version <= DataVersions.Newest
            ? version
            : throw DataVersions.TooNew($"the data of snapshot \"{path}\"", version);
    }

    private static byte[] ReadHeader(IStorageFile file, long length)
    {
        Span<byte> fixedPart = stackalloc byte[FixedBytes];
        Require(file, 0, fixedPart);
        int configurationBytes = BinaryPrimitives.ReadInt32LittleEndian(fixedPart[40..]);
        bool isHeader = BinaryPrimitives.ReadUInt64LittleEndian(fixedPart) == HeaderMagic;
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(fixedPart[8..]);
        bool plausible = isHeader && version == Version
            && configurationBytes is >= 0 and <= MaxConfigurationBytes
            && HeaderBytes(configurationBytes) + FooterBytes <= length;
        if (isHeader && version > Version)
        {
            RefuseNewer(file, length, BinaryPrimitives.ReadInt32LittleEndian(fixedPart[12..]));
        }

        if (!plausible)
        {
            throw StorageErrors.Damaged(file.Path, 0, "its header is not of snapshot version 1");
        }

        return ReadChecked(file, HeaderBytes(configurationBytes));
    }

    // Of a version that is not known, only where magic, version, length and checksum of the header
    // are is known. With a wrong checksum it is damage.
    private static void RefuseNewer(IStorageFile file, long length, int headerBytes)
    {
        if (headerBytes >= HeaderBytes(0) && headerBytes <= length
            && headerBytes <= HeaderBytes(MaxConfigurationBytes))
        {
            byte[] header = ReadChecked(file, headerBytes);
            throw DataVersions.TooNew(
                $"snapshot \"{file.Path}\"",
                BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(8)), Version);
        }
    }

    private static byte[] ReadChecked(IStorageFile file, int headerBytes)
    {
        byte[] header = new byte[headerBytes];
        Require(file, 0, header);
        int checkedBytes = headerBytes - ChecksumBytes;
        uint stored = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(checkedBytes));
        return stored == Crc32C.Of(header.AsSpan(0, checkedBytes))
            ? header
            : throw StorageErrors.Damaged(file.Path, checkedBytes, "its header checksum is wrong");
    }

    private static void ReadFooter(IStorageFile file, long length)
    {
        Span<byte> footer = stackalloc byte[FooterBytes];
        long offset = length - FooterBytes;
        Require(file, offset, footer);
        if (BinaryPrimitives.ReadUInt64LittleEndian(footer) != FooterMagic
            || BinaryPrimitives.ReadInt64LittleEndian(footer[8..]) != length)
        {
            throw StorageErrors.Damaged(file.Path, offset, "the file is not complete");
        }
    }
}
