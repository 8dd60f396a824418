// The configuration a cluster was founded with: what holds before the first log entry. Written
// once, by pgraft_init() or from pgraft.initial_cluster; a snapshot takes its place later.
// Threading: used while founding or opening only. Failure: a damaged file is refused by name.
//
// Layout: "PGRAFTFD", configuration, u32 CRC32C of all before it.
using System.Buffers.Binary;
using PgRaft.Consensus.Storage;
using PgRaft.Core;

namespace PgRaft.Consensus.Membership;

/// <summary>Reads and writes the founding configuration.</summary>
internal static class FoundingFile
{
    private const int MaxBytes = 1024 * 1024;
    private const int ChecksumBytes = 4;

    private static ReadOnlySpan<byte> Magic => "PGRAFTFD"u8;

    /// <summary>The configuration, or null when the node was never founded.</summary>
    /// <exception cref="PgraftException">The file is damaged.</exception>
    public static Configuration? Read(IStorageIo io, string directory)
    {
        string path = PathIn(directory);
        if (!io.Exists(path))
        {
            return null;
        }

        byte[] content = AtomicFile.Read(io, path, MaxBytes);
        int end = content.Length - ChecksumBytes;
        if (end < Magic.Length || !content.AsSpan().StartsWith(Magic)
            || Checksum(content.AsSpan(0, end))
                != BinaryPrimitives.ReadUInt32LittleEndian(content.AsSpan(end)))
        {
            throw StorageErrors.Damaged(path, 0, "its checksum does not match");
        }

        return Configuration.Decode(content.AsSpan(Magic.Length, end - Magic.Length));
    }

    /// <summary>Makes the configuration durable.</summary>
    public static void Write(IStorageIo io, string directory, Configuration configuration)
    {
        int end = Magic.Length + configuration.Bytes.Length;
        byte[] content = new byte[end + ChecksumBytes];
        Magic.CopyTo(content);
        configuration.Bytes.Span.CopyTo(content.AsSpan(Magic.Length));
        BinaryPrimitives.WriteUInt32LittleEndian(
            content.AsSpan(end), Checksum(content.AsSpan(0, end)));
        AtomicFile.Write(io, PathIn(directory), content);
    }

    private static string PathIn(string directory) => Path.Combine(directory, "founding");

    private static uint Checksum(ReadOnlySpan<byte> bytes) => Crc32C.Of(bytes);
}
