// What the disk alone takes for one put: one record's bytes written and synced.
using PgRaft.Consensus.Storage;

namespace PgRaft.Probes;

internal static class SyncProbe
{
    public static void Run(string directory, int rounds, string file)
    {
        using var raw = new RawFile(directory);
        byte[] record = RawFile.RandomBytes(RecordHeader.SizeOf(OnePut.CommandBytes));
        var times = new Samples();
        for (int i = 0; i < rounds; i++)
        {
            times.Time(() => raw.Append(record));
        }

        times.AppendTo(file);
    }
}
