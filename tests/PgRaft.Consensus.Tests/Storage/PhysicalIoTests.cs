// The real file system: what storage reads is what it wrote, and errors are told apart and named.
using System.Text;
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class PhysicalIoTests
{
    private static readonly PhysicalIo Io = PhysicalIo.Instance;

    [Fact]
    public async Task The_log_works_on_a_real_disk()
    {
        using var directory = new TemporaryDirectory();
        var options = new LogOptions { Directory = directory["log"], SegmentBytes = 64 * 1024 };
        using (SegmentedLog log = SegmentedLog.Open(options, 0, 0))
        {
            for (int i = 1; i <= 3000; i++)
            {
                log.Append(1, EntryKind.Command, Encoding.UTF8.GetBytes($"entry {i}"));
            }

            await log.WaitDurableAsync(3000);
            Assert.True(log.DiskBytes >= 3 * 64 * 1024);
        }

        using SegmentedLog again = SegmentedLog.Open(options, 0, 0);
        Assert.Equal(3000, again.LastIndex);
        Assert.Equal("entry 1234", Encoding.UTF8.GetString(again.Read(1234).Payload.Span));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
            File.GetUnixFileMode(options.Directory));
        Assert.All(Directory.GetFiles(options.Directory), file => Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file)));
    }

    [Fact]
    public void A_full_device_is_recognised()
    {
        using IStorageFile full = Io.Open("/dev/full");
        var error = Assert.Throws<PgraftException>(() => full.Write(0, new byte[10]));
        Assert.Equal(StatusCode.DiskFull, error.Code);
        Assert.Contains("/dev/full", error.Message, StringComparison.Ordinal);
        Assert.Contains("Free space", error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_sync_that_fails_is_reported()
    {
        // The kernel refuses to sync a character device.
        using IStorageFile device = Io.Open("/dev/null");
        var error = Assert.Throws<PgraftException>(device.Sync);
        Assert.Equal(StatusCode.IoError, error.Code);
        Assert.Contains("cannot sync \"/dev/null\"", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Missing_files_and_directories_are_errors_that_name_them()
    {
        using var directory = new TemporaryDirectory();
        string missing = directory["missing"];
        Action[] calls =
        [
            () => Io.Open(missing),
            () => Io.OpenRead(missing),
            () => Io.Create(Path.Combine(missing, "file")),
            () => Io.Rename(missing, directory["other"]),
            () => Io.List(missing),
            () => Io.SyncDirectory(missing),
        ];
        Assert.All(calls, call =>
        {
            var error = Assert.Throws<PgraftException>(call);
            Assert.Equal(StatusCode.IoError, error.Code);
            Assert.Contains(missing, error.Message, StringComparison.Ordinal);
        });
        Io.Delete(missing);
        Assert.False(Io.Exists(missing));
    }

    [Fact]
    public void Reading_stops_at_the_end_of_the_file()
    {
        using var directory = new TemporaryDirectory();
        using IStorageFile file = Io.Create(directory["file"]);
        file.Write(3, "abc"u8);
        byte[] buffer = new byte[10];
        Assert.Equal(6, file.Length);
        Assert.Equal(4, file.Read(2, buffer));
        Assert.Equal("\0abc", Encoding.UTF8.GetString(buffer, 0, 4));
        Assert.Equal(0, file.Read(6, buffer));
    }

    [Theory]
    [InlineData("", 0x00000000u)]
    [InlineData("123456789", 0xE3069283u)]
    public void The_checksum_is_crc32c(string text, uint expected) =>
        Assert.Equal(expected, Crc32C.Of(Encoding.ASCII.GetBytes(text)));

    [Fact]
    public void The_checksum_does_not_depend_on_how_the_bytes_are_split()
    {
        byte[] bytes = [.. Enumerable.Range(0, 64).Select(i => (byte)i)];
        for (int split = 0; split <= bytes.Length; split++)
        {
            uint crc = Crc32C.Append(Crc32C.Seed, bytes.AsSpan(0, split));
            Assert.Equal(Crc32C.Of(bytes), Crc32C.Finish(Crc32C.Append(crc, bytes.AsSpan(split))));
        }
    }
}
