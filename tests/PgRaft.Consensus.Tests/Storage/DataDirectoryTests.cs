// Whose directory it is, who may see it, and that only one server has it.
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public class DataDirectoryTests
{
    private const UnixFileMode OwnerOnly =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    [Fact]
    public void A_missing_directory_is_created_private_and_keeps_its_stamp()
    {
        using var parent = new TemporaryDirectory();
        Guid incarnation;
        using (var directory = DataDirectory.Open(parent["data"], "alpha", 3))
        {
            incarnation = directory.Incarnation;
            Assert.Equal(parent["data"], directory.Path);
            Assert.Equal(OwnerOnly, File.GetUnixFileMode(directory.Path));
            directory.Probe();
            Assert.Equal(["lock", "stamp"], Names(directory.Path));
        }

        using var again = DataDirectory.Open(parent["data"] + "/", "alpha", 3);
        Assert.Equal(incarnation, again.Incarnation);
        Assert.NotEqual(Guid.Empty, incarnation);
    }

    // It may have been made by a process that was killed before its name was durable.
    [Fact]
    public void Its_name_is_durable_before_anything_in_it()
    {
        using var parent = new TemporaryDirectory();
        Directory.CreateDirectory(parent["data"]);
        var io = new NotedIo();
        using (DataDirectory.Open(parent["data"], "alpha", 3, io))
        {
            int name = io.Done.IndexOf($"SyncDirectory {parent[""]}");
            int stamp = io.Done.IndexOf($"Rename {parent["data/stamp"]}");
            Assert.True(name >= 0 && name < stamp, string.Join('\n', io.Done));
        }
    }

    [Fact]
    public void Only_the_last_component_is_created()
    {
        using var parent = new TemporaryDirectory();
        var error = Assert.Throws<PgraftException>(
            () => DataDirectory.Open(parent["a/b"], "alpha", 3));
        Assert.Equal(StatusCode.IoError, error.Code);
        Assert.Contains("parent", error.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(parent["a"]));
    }

    [Fact]
    public void Group_and_world_lose_their_access()
    {
        using var parent = new TemporaryDirectory();
        Directory.CreateDirectory(parent["data"]);
        File.SetUnixFileMode(
            parent["data"], OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherExecute);
        using var directory = DataDirectory.Open(parent["data"], "alpha", 3);
        Assert.Equal(OwnerOnly, File.GetUnixFileMode(parent["data"]));
    }

    // A directory named by mistake, such as one that holds other servers' sockets.
    [Fact]
    public void A_foreign_directory_is_refused_untouched()
    {
        const UnixFileMode open = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherExecute;
        using var parent = new TemporaryDirectory();
        Directory.CreateDirectory(parent["data"]);
        File.WriteAllText(parent["data/foreign"], "kept");
        File.SetUnixFileMode(parent["data"], open);

        var error = Assert.Throws<PgraftException>(
            () => DataDirectory.Open(parent["data"], "alpha", 3));

        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("\"foreign\"", error.Detail, StringComparison.Ordinal);
        Assert.Equal(open, File.GetUnixFileMode(parent["data"]));
        Assert.Equal(["foreign"], Names(parent["data"]));
    }

    [Fact]
    public void A_second_server_is_refused_until_the_first_lets_go()
    {
        using var parent = new TemporaryDirectory();
        using (DataDirectory.Open(parent["data"], "alpha", 3))
        {
            var error = Assert.Throws<PgraftException>(
                () => DataDirectory.Open(parent["data"], "alpha", 3));
            Assert.Equal(StatusCode.WrongState, error.Code);
            Assert.Contains("in use by another server", error.Message, StringComparison.Ordinal);
        }

        DataDirectory.Open(parent["data"], "alpha", 3).Dispose();
    }

    [Theory]
    [InlineData("beta", 3)]
    [InlineData("alpha", 4)]
    public void Anothers_stamp_is_refused_naming_both(string clusterId, int nodeId)
    {
        using var parent = new TemporaryDirectory();
        DataDirectory.Open(parent["data"], "alpha", 3).Dispose();
        var error = Assert.Throws<PgraftException>(
            () => DataDirectory.Open(parent["data"], clusterId, nodeId));
        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("node 3 of cluster \"alpha\"", error.Message, StringComparison.Ordinal);
        Assert.Contains(
            $"node {nodeId} of cluster \"{clusterId}\"",
            error.Detail,
            StringComparison.Ordinal);

        // The refusal holds no lock.
        DataDirectory.Open(parent["data"], "alpha", 3).Dispose();
    }

    [Fact]
    public void A_damaged_stamp_is_refused()
    {
        using var parent = new TemporaryDirectory();
        DataDirectory.Open(parent["data"], "alpha", 3).Dispose();
        string path = parent["data/stamp"];
        byte[] content = File.ReadAllBytes(path);
        for (int offset = 0; offset < content.Length; offset++)
        {
            byte[] damaged = [.. content];
            damaged[offset] ^= 1;
            File.WriteAllBytes(path, damaged);
            var error = Assert.Throws<PgraftException>(
                () => DataDirectory.Open(parent["data"], "alpha", 3));
            Assert.Equal(StatusCode.IoError, error.Code);
            Assert.Contains(path, error.Message, StringComparison.Ordinal);
        }

        File.WriteAllBytes(path, []);
        Assert.Throws<PgraftException>(() => DataDirectory.Open(parent["data"], "alpha", 3));
        File.WriteAllBytes(path, new byte[5000]);
        Assert.Throws<PgraftException>(() => DataDirectory.Open(parent["data"], "alpha", 3));
    }

    [Fact]
    public void A_stamp_of_a_later_format_is_refused_as_such()
    {
        using var parent = new TemporaryDirectory();
        Directory.CreateDirectory(parent["data"]);
        string text = "pgraft data directory\nformat 2\nwhatever\n";
        uint crc = Crc32C.Of(System.Text.Encoding.UTF8.GetBytes(text));
        File.WriteAllText(parent["data/stamp"], $"{text}crc32c {crc:x8}\n");
        var error = Assert.Throws<PgraftException>(
            () => DataDirectory.Open(parent["data"], "alpha", 3));
        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains("format 2", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("PG_VERSION", false)]
    [InlineData("term", false)]
    [InlineData("lost+found", true)]
    [InlineData("stamp.tmp", true)]
    [InlineData("pgraft.sock", true)]
    public void Files_without_a_stamp_are_not_taken_over(string name, bool harmless)
    {
        using var parent = new TemporaryDirectory();
        Directory.CreateDirectory(parent["data"]);
        File.WriteAllText(parent["data/" + name], "");
        if (harmless)
        {
            DataDirectory.Open(parent["data"], "alpha", 3).Dispose();
            Assert.True(File.Exists(parent["data/stamp"]));
            return;
        }

        var error = Assert.Throws<PgraftException>(
            () => DataDirectory.Open(parent["data"], "alpha", 3));
        Assert.Equal(StatusCode.WrongState, error.Code);
        Assert.Contains(name, error.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_in_the_way_is_an_error()
    {
        using var parent = new TemporaryDirectory();
        File.WriteAllText(parent["data"], "");
        var error = Assert.Throws<PgraftException>(
            () => DataDirectory.Open(parent["data"], "alpha", 3));
        Assert.Equal(StatusCode.IoError, error.Code);
    }

    [Fact]
    public void A_full_disk_is_reported_by_start_and_by_the_probe()
    {
        using var parent = new TemporaryDirectory();
        var disk = new SimulatedDisk();
        using var directory = OpenSimulated(parent, disk);
        disk.SpaceBytes = 100;
        Assert.Equal(StatusCode.DiskFull, Assert.Throws<PgraftException>(directory.Probe).Code);
        disk.SpaceBytes = long.MaxValue;
        directory.Probe();
        disk.FailSync = disk.Syncs + 1;
        Assert.Equal(StatusCode.IoError, Assert.Throws<PgraftException>(directory.Probe).Code);

        using var second = new TemporaryDirectory();
        var full = new SimulatedDisk { SpaceBytes = 10 };
        var error = Assert.Throws<PgraftException>(() => OpenSimulated(second, full));
        Assert.Equal(StatusCode.DiskFull, error.Code);
    }

    private sealed class NotedIo : HookedIo
    {
        public List<string> Done { get; } = [];

        protected override void Before(IoOperation operation, string path) =>
            Done.Add($"{operation} {Path.TrimEndingDirectorySeparator(path)}");
    }

    // The simulated disk has files only; the directory itself is real.
    private static DataDirectory OpenSimulated(TemporaryDirectory parent, SimulatedDisk disk)
    {
        Directory.CreateDirectory(parent["data"]);
        return DataDirectory.Open(parent["data"], "alpha", 3, disk);
    }

    private static string[] Names(string directory) =>
        [.. Directory.GetFiles(directory).Select(file => Path.GetFileName(file)).Order()];
}
