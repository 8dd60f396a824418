// Paths that clients give, on the real file system.
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Recovery;

public sealed class ClientPathTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    [Theory]
    [InlineData("")]
    [InlineData("relative")]
    [InlineData("../up")]
    [InlineData("/tmp/with\0nul")]
    [InlineData("/tmp/")]
    public void APathThatNamesNoFileIsRefused(string path)
    {
        Refused(StatusCode.BadArgument, () => Write(path));
        Refused(StatusCode.BadArgument, () => Backups.Verify(PhysicalIo.Instance, path));
    }

    [Fact]
    public void APathThatIsTooLongIsRefused()
    {
        Refused(StatusCode.BadArgument, () => Write("/" + new string('x', 4096)));
        Refused(StatusCode.BadArgument, () => Write(In(new string('x', 256))));
        Assert.Empty(Directory.GetFileSystemEntries(_directory.Path));
        Write(In(new string('x', 255)));
    }

    [Fact]
    public void ADirectoryThatIsNotThereIsRefused()
    {
        var error = Refused(StatusCode.BadArgument, () => Write(In("missing/file")));
        Assert.Contains(In("missing/file"), error.Message, StringComparison.Ordinal);
        Refused(
            StatusCode.BadArgument, () => Backups.Verify(PhysicalIo.Instance, In("missing/file")));
        File.WriteAllText(In("file"), "x");
        Refused(StatusCode.BadArgument, () => Write(In("file/below")));
    }

    [Fact]
    public void OnlyARegularFileIsRead()
    {
        Refused(StatusCode.BadArgument, () => Backups.Verify(PhysicalIo.Instance, _directory.Path));
        Refused(StatusCode.BadArgument, () => Backups.Verify(PhysicalIo.Instance, "/dev/zero"));
        string pipe = In("pipe");
        using (var made = System.Diagnostics.Process.Start("mkfifo", pipe))
        {
            made.WaitForExit();
        }

        // Nobody writes to it: a plain open would wait for ever.
        Refused(StatusCode.BadArgument, () => Backups.Verify(PhysicalIo.Instance, pipe));
    }

    [Fact]
    public void ALinkIsNotFollowedToWriteAndIsToRead()
    {
        File.CreateSymbolicLink(In("link"), In("target"));
        Refused(StatusCode.BadArgument, () => Write(In("link")));
        Assert.False(File.Exists(In("target")));
        Write(In("target"));
        Backups.Verify(PhysicalIo.Instance, In("link"));
        Refused(StatusCode.BadArgument, () => Write(_directory.Path));
    }

    [Fact]
    public void TheFileIsItsOwnersAlone()
    {
        Write(In("backup"));
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(In("backup")));
        Assert.Equal([In("backup")], Directory.GetFileSystemEntries(_directory.Path));
    }

    [Theory]
    [InlineData("")]
    [InlineData("log/")]
    public void NothingIsPutIntoADataDirectory(string below)
    {
        using var data = DataDirectory.Open(In("data"), "test", 1);
        Directory.CreateDirectory(In("data/log"));
        string path = In($"data/{below}snapshot-00000000000000000009-00000000000000000001.snap");
        var error = Refused(StatusCode.BadArgument, () => Write(path));
        Assert.Contains("data directory", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(path));
    }

    public void Dispose() => _directory.Dispose();

    private static PgraftException Refused(StatusCode code, Action action)
    {
        var error = Assert.Throws<PgraftException>(action);
        Assert.True(error.Code == code, error.ToString());
        return error;
    }

    private static void Write(string path) =>
        Backups.Write(PhysicalIo.Instance, Backups.State(keys: 2), path);

    private string In(string name) => Path.Combine(_directory.Path, name);
}
