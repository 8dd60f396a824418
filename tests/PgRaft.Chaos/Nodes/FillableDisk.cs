// A small file system in memory for one member's data_dir, which can be filled up and freed.
// Threading: one task. Failure: where it cannot be mounted, there is none.

using PgRaft.Harness;

namespace PgRaft.Chaos.Nodes;

internal sealed class FillableDisk
{
    private const string Size = "160m";
    private const int ErrnoNoSpace = 28;

    private FillableDisk(string path)
    {
        Path = path;
    }

    public string Path { get; }

    private string Filler => System.IO.Path.Combine(Path, "filler");

    public static async Task<FillableDisk?> TryMountAsync()
    {
        var path = await TestRun.NewDirectoryAsync("disk");
        var mounted = await Command.TryRunAsync(
            "mount", "-t", "tmpfs", "-o", $"size={Size},mode=0755", "tmpfs", path);
        if (mounted.Status != 0)
        {
            return null;
        }

        TestRun.AtEnd(() => Command.TryRunAsync("umount", "-l", path).GetAwaiter().GetResult());
        await Command.GiveToServerUserAsync(path);
        return new FillableDisk(path);
    }

    /// <summary>Takes all the room there is; returns the bytes taken.</summary>
    public long Fill()
    {
        using var file = new FileStream(Filler, FileMode.Create, FileAccess.Write);
        var piece = new byte[64 * 1024];
        try
        {
            while (true)
            {
                file.Write(piece);
                file.Flush();
            }
        }
        catch (IOException e) when (e.HResult == ErrnoNoSpace)
        {
            return file.Length;
        }
    }

    public void Free()
    {
        File.Delete(Filler);
    }
}
