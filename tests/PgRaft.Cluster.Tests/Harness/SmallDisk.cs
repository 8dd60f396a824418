// A file system with little room, for tests of a full disk. Needs root and leave to mount; a test
// that cannot have one is skipped and says why.

namespace PgRaft.Cluster.Tests.Harness;

internal sealed class SmallDisk : IAsyncDisposable
{
    private const string SmallSize = "24m";
    private const string LargeSize = "256m";

    private SmallDisk(string path)
    {
        Path = path;
    }

    public string Path { get; }

    public static async Task<SmallDisk> MountAsync()
    {
        Assert.SkipUnless(TestRun.IsRoot, "needs root to mount a small file system");
        var path = await TestRun.NewDirectoryAsync("disk");
        var mounted = await Command.TryRunAsync(
            "mount", "-t", "tmpfs", "-o", $"size={SmallSize},mode=0755", "tmpfs", path);
        Assert.SkipUnless(
            mounted.Status == 0, $"cannot mount a small file system here: {mounted.Output}");
        await Command.GiveToServerUserAsync(path);
        return new SmallDisk(path);
    }

    public Task GrowAsync()
    {
        return Command.RunAsync("mount", "-o", $"remount,size={LargeSize}", Path);
    }

    public async ValueTask DisposeAsync()
    {
        // Lazily: the server may still be on its way out when the test has failed.
        await Command.RunAsync("umount", "-l", Path);
    }
}
