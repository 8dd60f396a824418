// Hazard 14: a log of memory-mapped pages costs a descriptor a page, and a full disk is a signal.
//
// Threading: one log. Failure: asserts.
using PgRaft.Consensus.Storage;
using PgRaft.Consensus.Tests.Cluster;
using Xunit;

namespace PgRaft.Consensus.Tests.Guards;

public sealed class DescriptorGuardTests
{
    [Fact]
    public async Task TenThousandEntriesNeedNoMoreDescriptorsAndNoMapping()
    {
        await using var fixture = new LogFixture();
        fixture.Log.ObserveTerm(1);
        await AppendAsync(fixture, from: 1, count: 100);
        int before = Descriptors(fixture.Location).Length;

        for (int from = 101; from <= 10_000; from += 100)
        {
            await AppendAsync(fixture, from, count: 100);
        }

        // One more may be the spare segment.
        Assert.InRange(Descriptors(fixture.Location).Length, 1, before + 1);
        Assert.Empty(Descriptors(Path.Combine(fixture.Location, "engine")));
        Assert.DoesNotContain(
            fixture.Location, await File.ReadAllTextAsync("/proc/self/maps", TestCluster.Limit),
            StringComparison.Ordinal);
    }

    private static ValueTask AppendAsync(LogFixture fixture, int from, int count) =>
        fixture.ReceiveAsync(
            [.. Enumerable.Range(from, count).Select(
                i => new LogRecord(i, 1, EntryKind.Command, new byte[128]))]);

    // What this process has open below a directory, deleted files included.
    private static string[] Descriptors(string directory) =>
        [.. Directory.GetFiles("/proc/self/fd").Select(TargetOf)
            .Where(t => t.StartsWith(directory, StringComparison.Ordinal))];

    private static string TargetOf(string descriptor)
    {
        try
        {
            return File.ResolveLinkTarget(descriptor, returnFinalTarget: false)?.FullName ?? "";
        }
        catch (IOException)
        {
            // Closed meanwhile.
            return "";
        }
    }
}
