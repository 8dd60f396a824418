// The founding is on disk once it is written, name and all: later syncs of its directory, of which
// a start makes several, must not be what brings it there.
using PgRaft.Consensus.Membership;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

public sealed class FoundingFileTests
{
    private const string Directory = "/data";

    [Fact]
    public void AFoundingThatWasWrittenSurvivesAPowerFailure()
    {
        var disk = new SimulatedDisk();
        var members = Configuration.Found(7, [new MemberAddress(1, "10.0.1.11", 7001)]);

        FoundingFile.Write(disk, Directory, members);

        disk.PowerOff();
        var found = FoundingFile.Read(disk.Reboot(Survival.Nothing, new Random(1)), Directory);
        Assert.Equal(members.Bytes.ToArray(), found?.Bytes.ToArray());
    }
}
