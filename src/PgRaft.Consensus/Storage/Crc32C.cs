// CRC32C (Castagnoli, RFC 3720 appendix B.4) over spans, by the processor's instruction where there
// is one. Threading: stateless. Failure: none.
using System.Buffers.Binary;
using System.Numerics;

namespace PgRaft.Consensus.Storage;

internal static class Crc32C
{
    internal const uint Seed = 0xFFFFFFFF;

    // The running value; start with Seed, end with Finish.
    internal static uint Append(uint crc, ReadOnlySpan<byte> data)
    {
        while (data.Length >= sizeof(ulong))
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(data));
            data = data[sizeof(ulong)..];
        }

        foreach (byte value in data)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return crc;
    }

    internal static uint Finish(uint crc) => ~crc;

    internal static uint Of(ReadOnlySpan<byte> data) => Finish(Append(Seed, data));
}
