// What the core makes of a status, from the table that the shim is tested with too
// (ToldAnswersTests, on a real server): both sides must answer the same.
using System.Globalization;

using PgRaft.Consensus;
using PgRaft.Server.Hosting;

using Xunit;

namespace PgRaft.Server.Tests.Hosting;

public sealed class AnswerTableTests
{
    private const int WrittenAgoMs = 1000;
    private static readonly AnswerTimes AtStart = new(0, 0, 1, 2, 3);

    public static TheoryData<string> Table { get; } = [.. File
        .ReadLines(Path.Combine(AppContext.BaseDirectory, "answers.txt"))
        .Where(l => l.Length > 0 && l[0] != '#')];

    // What the shim cannot be shown by a core that lives.
    public static TheoryData<string> Ended { get; } =
    [
        "error leader 1  60000 60000 3  - then  - then  false then",
        "stopped follower 2  60000 60000 1  - then  - then  false then",
    ];

    [Theory]
    [MemberData(nameof(Table))]
    [MemberData(nameof(Ended))]
    public void A_status_of_a_second_ago_is_answered_as_the_table_says(string line)
    {
        string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var state = Enum.Parse<WorkerState>(words[0], ignoreCase: true);
        var clock = new StillClock();
        var keeper = new AnswerKeeper(clock, AtStart);
        var node = Node(words, clock.Ns + (WrittenAgoMs * 1_000_000L));

        var then = keeper.Note(state, node);
        clock.Pass(WrittenAgoMs);
        var now = keeper.Note(state, node);

        Assert.Equal(
            [
                $"{Word(Questions.HasQuorum(state, node, now.WrittenNs))} {words[7]}",
                $"{Word(Questions.LiveMembers(state, node, now.WrittenNs))} {words[9]}",
                $"{Word(Questions.MayAct(state, node, now.WrittenNs))} {words[11]}",
            ],
            [$"{words[6]} {words[7]}", $"{words[8]} {words[9]}", $"{words[10]} {words[11]}"]);
        Assert.Equal(
            (Us(words[7], then.QuorumSinceUs), Us(words[9], then.LiveMembersSinceUs),
                Us(words[11], then.MayActSinceUs)),
            (now.QuorumSinceUs, now.LiveMembersSinceUs, now.MayActSinceUs));

        long Us(string word, long thenUs) => word == "then"
            ? thenUs
            : clock.UnixUs + (1000 * long.Parse(word, CultureInfo.InvariantCulture));
    }

    private static NodeStatus Node(string[] words, long nowNs)
    {
        var role = Enum.Parse<NodeRole>(words[1], ignoreCase: true);
        long end = End(words[3], nowNs);
        return new NodeStatus
        {
            Role = role,
            LeaderId = int.Parse(words[2], CultureInfo.InvariantCulture),
            LeaseDeadlineNs = role == NodeRole.Leader ? end : 0,
            LeaderDeadlineNs = role == NodeRole.Leader ? 0 : end,
            NoQuorumDeadlineNs = End(words[4], nowNs),
            LiveMembers = words[5] == "-"
                ? null
                : int.Parse(words[5], CultureInfo.InvariantCulture),
            LiveMembersSinceNs = 1,
        };
    }

    private static long End(string word, long nowNs) => word == "-"
        ? 0
        : nowNs + (long.Parse(word, CultureInfo.InvariantCulture) * 1_000_000);

    private static string Word(bool? answer) =>
        answer is { } known ? (known ? "true" : "false") : "-";

    private static string Word(int? number) =>
        number?.ToString(CultureInfo.InvariantCulture) ?? "-";

    /// <summary>Both clocks, which a test moves by hand.</summary>
    private sealed class StillClock : TimeProvider
    {
        private long _ms = 1_000_000;

        public long Ns => _ms * 1_000_000;

        public long UnixUs => (_ms + 1_700_000_000_000) * 1000;

        public override long TimestampFrequency => 1_000_000_000;

        public void Pass(int ms) => _ms += ms;

        public override long GetTimestamp() => Ns;

        public override DateTimeOffset GetUtcNow() =>
            DateTimeOffset.UnixEpoch.AddTicks(UnixUs * TimeSpan.TicksPerMicrosecond);
    }
}
