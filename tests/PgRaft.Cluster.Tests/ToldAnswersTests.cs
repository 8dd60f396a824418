// What a real server says of statuses that a core of the tests wrote a second ago: the three
// questions of a failover manager, at the moments at which nobody is there to write an answer. The
// same table is asked of the core (AnswerTableTests).
//
// Threading: one test, one server. Failure: as the test's own.

using System.Globalization;
using PgRaft.Cluster.Tests.Harness;
using PgRaft.Cluster.Tests.Support;

namespace PgRaft.Cluster.Tests;

public sealed class ToldAnswersTests : ServerTest
{
    // What tests/abi/told_core.c says of the time before.
    private const long QuorumSinceUs = 1_700_000_000_000_001;
    private const long LiveMembersSinceUs = 1_700_000_000_000_002;
    private const long MayActSinceUs = 1_700_000_000_000_003;

    private const string Answers = "SELECT concat_ws(' ', coalesce(quorum::text, '-'), "
        + "us(quorum_since), coalesce(live_members::text, '-'), us(live_members_since), "
        + "coalesce(may_act::text, '-'), us(may_act_since)) FROM pgraft.health";

    private const string Json = "SELECT concat_ws(' ', replace(h->>'quorum', 'unknown', '-'), "
        + "us(h->>'quorum_since'), coalesce(h->>'live_members', '-'), "
        + "us(h->>'live_members_since'), replace(h->>'may_act', 'unknown', '-'), "
        + "us(h->>'may_act_since')) FROM pgraft_health_check() h";

    // Unix time in microseconds, without rounding.
    private const string Functions = """
        CREATE FUNCTION us(at timestamptz) RETURNS text LANGUAGE sql AS $$
            SELECT coalesce(
                ((extract(epoch FROM at) * 1000000)::numeric)::bigint::text, '-') $$;
        CREATE FUNCTION us(at text) RETURNS text LANGUAGE sql AS $$
            SELECT us(at::timestamptz) $$;
        """;

    [Fact]
    public async Task The_answers_are_those_of_the_table()
    {
        var server = await ToldServerAsync();
        await using var connection = await server.OpenAsync();
        var lines = File.ReadLines(Path.Combine(TestRun.Top, "tests/abi/answers.txt"))
            .Where(l => l.Length > 0 && l[0] != '#').ToArray();
        Assert.True(lines.Length > 20, $"{lines.Length} lines");
        foreach (var (line, number) in lines.Select((l, i) => (l, i + 1)))
        {
            var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            await TellAsync(server, number, string.Join(' ', words[..6]));
            var told = long.Parse(
                await File.ReadAllTextAsync(
                    Path.Combine(server.PgraftDirectory, "told_at"),
                    TestContext.Current.CancellationToken),
                CultureInfo.InvariantCulture);
            var expected = string.Join(
                ' ',
                [
                    words[6], Us(words[7], QuorumSinceUs, told),
                    words[8], Us(words[9], LiveMembersSinceUs, told),
                    words[10], Us(words[11], MayActSinceUs, told),
                ]);
            Assert.Equal(
                [line, expected, expected],
                [
                    line, await connection.ScalarAsync<string>(Answers),
                    await connection.ScalarAsync<string>(Json),
                ]);
        }
    }

    // It may be frozen there: what it was about to write is not known, nor since when.
    [Fact]
    public async Task A_worker_in_the_middle_of_a_write_may_still_act_or_not()
    {
        var server = await ToldServerAsync();
        await TellAsync(server, 1, "running leader 1 60000 - 3");
        await File.WriteAllTextAsync(
            Path.Combine(server.PgraftDirectory, "told"), "2 torn leader 1 60000 0 3",
            TestContext.Current.CancellationToken);
        await server.ExecuteAsync("SELECT pg_reload_conf()");
        await server.WaitForStateAsync("ERROR");
        Assert.Equal("- - - - - -", await server.ScalarAsync<string>(Answers));
        Assert.Equal("- - - - - -", await server.ScalarAsync<string>(Json));
    }

    private async Task<TestServer> ToldServerAsync()
    {
        var bin = await OtherCore.FromSourceAsync("told_core.c");
        var server = await NewServerAsync(binDirectory: bin);
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft;" + Functions);
        return server;
    }

    private static async Task TellAsync(TestServer server, int number, string status)
    {
        await File.WriteAllTextAsync(
            Path.Combine(server.PgraftDirectory, "told"),
            $"{number} {string.Join(' ', status.Split(' ').Select(w => w == "-" ? "0" : w))}");
        await server.ExecuteAsync("SELECT pg_reload_conf()");
        await Poll.UntilAsync(
            $"the core has read line {number}",
            () => server.ScalarAsync<long>("SELECT pgraft_get_term()"), term => term == number);
    }

    private static string Us(string word, long thenUs, long toldUs)
    {
        return word == "-" ? "-" : (word == "then"
            ? thenUs
            : toldUs + (1000 * long.Parse(word, CultureInfo.InvariantCulture)))
            .ToString(CultureInfo.InvariantCulture);
    }
}
