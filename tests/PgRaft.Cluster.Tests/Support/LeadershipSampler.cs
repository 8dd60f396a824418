// A session that asks pgraft_is_leader() back to back, inside the server, without a round trip in
// between: several hundred thousand questions a second. When its server is frozen it is frozen too,
// anywhere in the middle of a question, and goes on from there when it is thawed.
//
// Threading: one task per sampler. Failure: errors of the session go to whoever awaits the result.

using System.Globalization;
using Npgsql;

namespace PgRaft.Cluster.Tests.Support;

/// <param name="LastTrue">The time read just before the last question answered with true.</param>
/// <param name="TrueAnswers">Number of those.</param>
/// <param name="FalseAtEnd">Questions answered with false since then.</param>
internal sealed record LeadershipSamples(DateTime LastTrue, long TrueAnswers, long FalseAtEnd);

internal static class LeadershipSampler
{
    /// <summary>Falses in a row after which the sampler ends: a quarter of a second or so.
    /// </summary>
    public const int EnoughFalse = 100_000;

    private const string IsSampling =
        "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory')";

    /// <summary>Starts a sampler on a leader and returns once it has been told so. Its result is
    /// there when leadership has been denied often enough in a row, or after half a minute.
    /// </summary>
    public static async Task<Task<LeadershipSamples>> StartAsync(TestServer leader)
    {
        var sampling = RunAsync(leader);
        await Poll.UntilAsync(
            "a sampler that was told of leadership",
            async () => sampling.IsFaulted || await leader.ScalarAsync<bool>(IsSampling));
        return sampling;
    }

    private static async Task<LeadershipSamples> RunAsync(TestServer server)
    {
        await using NpgsqlConnection connection = await server.OpenAsync();
        await connection.ExecuteAsync(Function);
        var row = await connection.ScalarAsync<string>("SELECT pg_temp.sample_leadership()");
        var fields = row.Split('|');
        return new LeadershipSamples(
            DateTime.UnixEpoch.AddMicroseconds(Number(fields[0])),
            Number(fields[1]),
            Number(fields[2]));
    }

    // The clock is read before the question: an answer is not younger than its time.
    private static readonly string Function = string.Create(
        CultureInfo.InvariantCulture,
        $"""
        CREATE FUNCTION pg_temp.sample_leadership() RETURNS text LANGUAGE plpgsql AS $$
        DECLARE
            asked timestamptz;
            begun timestamptz := clock_timestamp();
            answer boolean;
            last_true timestamptz := 'epoch';
            trues bigint := 0;
            falses bigint := 0;
        BEGIN
            WHILE falses < {EnoughFalse} LOOP
                SELECT clock_timestamp(), pgraft_is_leader() INTO asked, answer;
                IF answer THEN
                    IF trues = 0 THEN
                        PERFORM pg_advisory_lock(1);
                    END IF;
                    last_true := asked;
                    trues := trues + 1;
                    falses := 0;
                ELSE
                    falses := falses + 1;
                END IF;
                EXIT WHEN asked > begun + interval '30 seconds';
            END LOOP;
            RETURN concat_ws(
                '|', (extract(epoch FROM last_true) * 1000000)::bigint, trues, falses);
        END $$
        """);

    private static long Number(string text)
    {
        return long.Parse(text, CultureInfo.InvariantCulture);
    }
}
