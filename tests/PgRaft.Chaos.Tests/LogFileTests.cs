// The damage done to log files is where it is said to be. Threading: none.

using System.Buffers.Binary;
using PgRaft.Chaos.Faults;

namespace PgRaft.Chaos.Tests;

public sealed class LogFileTests : IDisposable
{
    private const int FileBytes = 16 * 1024;
    private const int FirstRecord = 64;
    private const int SecondRecord = FirstRecord + 48;
    private const int End = SecondRecord + 40;

    private readonly string _path = Path.GetTempFileName();

    public LogFileTests()
    {
        var bytes = new byte[FileBytes];
        "PGRTLOG1"u8.CopyTo(bytes);
        Record(bytes, FirstRecord, index: 1, payload: 5);
        Record(bytes, SecondRecord, index: 2, payload: 0);
        File.WriteAllBytes(_path, bytes);
    }

    public void Dispose()
    {
        File.Delete(_path);
    }

    [Fact]
    public void Records_are_found_where_they_are()
    {
        var file = new LogFile(_path);

        Assert.Equal([FirstRecord, SecondRecord], file.Records);
        Assert.Equal(End, file.End);
        Assert.Equal(FileBytes, file.Length);
    }

    [Fact]
    public void A_torn_batch_begins_after_the_last_record_and_lacks_a_sector()
    {
        var before = File.ReadAllBytes(_path);
        Assert.True(new LogFile(_path).TryTear());
        var after = File.ReadAllBytes(_path);

        Assert.Equal(before[..End], after[..End]);
        Assert.Contains(after[End..512], b => b != 0);
        Assert.All(after[512..], b => Assert.Equal(0, b));
    }

    [Fact]
    public void A_flip_changes_one_bit_of_one_record()
    {
        var before = File.ReadAllBytes(_path);
        new LogFile(_path).FlipIn(FirstRecord, new Random(1));
        var after = File.ReadAllBytes(_path);

        var at = Enumerable.Range(0, FileBytes).Single(i => before[i] != after[i]);
        Assert.InRange(at, FirstRecord, FirstRecord + 44);
        Assert.Equal(1, System.Numerics.BitOperations.PopCount((uint)(before[at] ^ after[at])));
    }

    [Fact]
    public void Another_file_is_refused()
    {
        File.WriteAllText(_path, "something else");
        Assert.Throws<InvalidDataException>(() => new LogFile(_path));
    }

    private static void Record(byte[] bytes, int offset, long index, int payload)
    {
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(offset), payload);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(offset + 8), index);
        bytes.AsSpan(offset + 40, payload).Fill((byte)'p');
    }
}
