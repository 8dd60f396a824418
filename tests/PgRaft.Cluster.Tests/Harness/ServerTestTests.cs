// What every test on real servers looks for at its end.
//
// Threading: none. Failure: asserts.

namespace PgRaft.Cluster.Tests.Harness;

public sealed class ServerTestTests
{
    [Fact]
    public async Task A_server_that_found_an_invariant_broken_fails_its_test()
    {
        const string Line = "FATAL:  pgraft: the cluster worker failed: broken invariant: any";
        var test = new AnyTest();
        await File.WriteAllTextAsync(
            await test.LogAsync(), $"LOG:  x\n{Line}\n", TestContext.Current.CancellationToken);

        var failure = await Assert.ThrowsAnyAsync<Xunit.Sdk.XunitException>(
            async () => await test.DisposeAsync());

        Assert.Contains(Line, failure.Message, StringComparison.Ordinal);
    }

    private sealed class AnyTest : ServerTest
    {
        public async Task<string> LogAsync() => (await NewServerAsync()).LogFile;
    }
}
