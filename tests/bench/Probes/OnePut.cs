// The put that run.sh measures: a short key, a value of 128 bytes.
using System.Text;
using PgRaft.Core.Commands;

namespace PgRaft.Probes;

internal static class OnePut
{
    public const int Keys = 10_000;
    public const int ValueBytes = 128;

    /// <summary>Its length in the log.</summary>
    public static int CommandBytes { get; } =
        CommandEncoder.KvPut(Key(Keys), new byte[ValueBytes]).Length;

    public static byte[] Key(int number) => Encoding.ASCII.GetBytes($"k{number}");
}
