// The clients of a fault run: they put, get and append, and write down what they know of each call.
// Threading: a task a client; the history takes care of itself. Failure: errors are outcomes.
using System.Diagnostics;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Histories;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultClients(
    TestCluster cluster, FaultPlan plan, History history, CancellationToken ended)
{
    private const int Clients = 6;
    private const int Keys = 3;
    private static readonly TimeSpan OperationLimit = TimeSpan.FromMilliseconds(400);
    private int _lastValue;

    public Task RunAsync() =>
        Task.WhenAll(Enumerable.Range(0, Clients).Select(c => Task.Run(() => ClientAsync(c))));

    /// <summary>One put by a client of its own.</summary>
    public Task<Outcome> PutAsync(TestNode target) => PutAsync(Clients, target, "k0");

    /// <summary>One append by a client of its own.</summary>
    public Task<Outcome> AppendAsync(TestNode target) =>
        AppendAsync(Clients, target, TermOf(target) ?? 1);

    private async Task ClientAsync(int client)
    {
        var random = new Random((plan.Seed * 1000) + client);
        long lastTerm = 1;
        while (!ended.IsCancellationRequested)
        {
            var nodes = cluster.Nodes.Where(n => n.IsUp).ToArray();
            if (nodes.Length > 0)
            {
                var target = nodes.FirstOrDefault(n => random.Next(4) > 0 && Leads(n))
                    ?? nodes[random.Next(nodes.Length)];
                lastTerm = await OperateAsync(client, target, random, lastTerm);
            }

            // Clients are people, not a load test: the checker's work grows with their haste.
            await Task.Delay(random.Next(1, 8), CancellationToken.None);
        }
    }

    // Appends mostly use the term the target is in, and sometimes one that was current a while ago.
    private async Task<long> OperateAsync(
        int client, TestNode target, Random random, long lastTerm)
    {
        string key = $"k{random.Next(Keys)}";
        switch (random.Next(10))
        {
            case < 4:
                await PutAsync(client, target, key);
                return lastTerm;
            case < 8:
                await GetAsync(client, target, key);
                return lastTerm;
            default:
                long term = random.Next(4) == 0 ? lastTerm : TermOf(target) ?? lastTerm;
                await AppendAsync(client, target, term);
                return term;
        }
    }

    public static bool Leads(TestNode node)
    {
        try
        {
            return node.Node.View.Tenure is not null;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static long? TermOf(TestNode node)
    {
        try
        {
            // 0 before it has started; to propose, 0 is any term.
            return node.Node.Status.Term is > 0 and var term ? term : null;
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private Task<Outcome> PutAsync(int client, TestNode target, string key)
    {
        string value = NextValue();
        var op = new Operation(client, OperationKind.Put, key, value, 0, 0, Outcome.Unknown);
        return RecordAsync(op, async token =>
        {
            var done = await target.PutAsync(key, value, token);
            return op with { Term = done.Term };
        });
    }

    private Task<Outcome> AppendAsync(int client, TestNode target, long term)
    {
        string value = NextValue();
        var op = new Operation(client, OperationKind.Append, "", value, 0, 0, Outcome.Unknown)
        {
            Term = term,
        };
        return RecordAsync(op, async token =>
        {
            byte[] command = CommandEncoder.Opaque(System.Text.Encoding.UTF8.GetBytes(value));
            var done = await target.Node.ProposeAsync(command, term, token);
            return done.Result.Status == StatusCode.Ok
                ? op with { Index = done.Index }
                : throw new PgraftException(done.Result.Status, "fenced off");
        });
    }

    private string NextValue() => $"{Interlocked.Increment(ref _lastValue)}";

    private async Task<Outcome> RecordAsync(
        Operation op, Func<CancellationToken, Task<Operation>> call)
    {
        long callNs = Stopwatch.GetTimestamp();
        Operation done;
        try
        {
            using var limit = new CancellationTokenSource(OperationLimit);
            done = await call(limit.Token) with { Outcome = Outcome.Ok };
        }
        catch (PgraftException e)
        {
            bool never =
                e.Code is StatusCode.NotLeader or StatusCode.NotDone or StatusCode.NoLeader;
            done = op with { Outcome = never ? Outcome.Failed : Outcome.Unknown };
        }
        catch (Exception e) when (e is InvalidOperationException or ObjectDisposedException)
        {
            // Stopped under the client's hands: it may have gone out.
            done = op with { Outcome = Outcome.Unknown };
        }

        history.Add(done with { CallNs = callNs, ReturnNs = Stopwatch.GetTimestamp() });
        return done.Outcome;
    }

    private async Task GetAsync(int client, TestNode target, string key)
    {
        long call = Stopwatch.GetTimestamp();
        try
        {
            using var limit = new CancellationTokenSource(OperationLimit);
            bool barrier = plan.Sabotage != Sabotage.StaleReads;
            string? value = await target.ReadAsync(key, barrier, limit.Token);
            history.Add(new Operation(
                client, OperationKind.Get, key, value, call, Stopwatch.GetTimestamp(), Outcome.Ok));
        }
        catch (Exception e) when (e is PgraftException or InvalidOperationException
            or ObjectDisposedException)
        {
            // A read that was not answered tells nothing.
        }
    }
}
