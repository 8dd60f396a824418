// One client of a fault run: it puts, gets, swaps and appends, one call after another, and writes
// down what it knows of each.
//
// Most clients repeat a call whose outcome is open, on whoever leads then and under the same
// request id, as the core does for a backend (ProposalRouter): once an attempt may have been done,
// only the state machine's word on the request counts, or that the term is over it was meant for.
// The others take the first answer for what it is.
// Threading: one task. Failure: errors are outcomes.
using System.Text;
using PgRaft.Consensus.Tests.Cluster;
using PgRaft.Core;
using PgRaft.Core.Commands;
using PgRaft.Core.Requests;
using PgRaft.Histories;

namespace PgRaft.Consensus.Tests.Faults;

internal sealed class FaultClient(FaultClients shared, FaultPlan plan, int number, bool repeats)
{
    private const int Keys = 2;
    private const int OperationsPerCasKey = 40;
    private const int CallMs = 400;
    private const int PatientCallMs = 1500;
    private const int AttemptMs = 250;
    private const int HastyAttemptMs = 2;

    // On a busy machine answers come late.
    private const int GraceMs = 500;

    // Distinct in the run, and no more than the state machine remembers.
    private readonly ulong _session = (ulong)number + 1;
    private int _process = shared.NextProcess();
    private long _sequence;
    private long _lastTerm = 1;
    private long _lastRevision;
    private int _operations;

    public Random Random { get; } = new((plan.Seed * 1000) + number);

    /// <summary>One call, of whichever kind the seed has it.</summary>
    public Task OperateAsync(TestNode target)
    {
        int key = Random.Next(Keys);
        string register = $"{FaultClients.RegisterPrefix}{key}";

        // Each for a time only: what is swapped costs the checker more.
        int generation = _operations++ / OperationsPerCasKey;
        string swapped = $"{FaultClients.CasPrefix}{key}.{generation}";
        return Random.Next(20) switch
        {
            < 5 => PutAsync(target, register),
            < 10 => GetAsync(target, register),
            < 11 => PutAsync(target, swapped),
            < 12 => GetAsync(target, swapped),
            < 17 => ReadAndSwapAsync(target, swapped),
            _ => AppendAsync(target),
        };
    }

    public Task<Outcome> PutAsync(TestNode target, string key)
    {
        var op = Begin(OperationKind.Put, key, shared.NextValue());
        byte[] name = Bytes(key);
        byte[] value = Bytes(op.Value!);
        return ProposeAsync(
            op, target, id => CommandEncoder.KvPut(name, value, id: id),
            done => op with { Term = done.Term, Revision = done.Result.Revision });
    }

    /// <summary>Mostly under the term the target is in, sometimes under one that was current a
    /// while ago.</summary>
    public Task<Outcome> AppendAsync(TestNode target)
    {
        long term = Random.Next(4) == 0 ? _lastTerm : TermOf(target) ?? _lastTerm;
        _lastTerm = term;
        var op = Begin(OperationKind.Append, "", shared.NextValue()) with { Term = term };
        byte[] data = Bytes(op.Value!);
        bool fences = plan.Sabotage != Sabotage.FenceIgnored;
        return ProposeAsync(
            op, target, id => CommandEncoder.Opaque(data, fences ? term : 0, id),
            done => op with { Index = done.Result.Index },
            fences ? term : 0);
    }

    // Swaps what it has just read, or now and then what it knows to be old, or nothing.
    private async Task ReadAndSwapAsync(TestNode target, string key)
    {
        if (await GetAsync(target, key) is not { } revision)
        {
            return;
        }

        long expected = Random.Next(6) switch
        {
            0 => _lastRevision,
            1 => 0,
            _ => revision,
        };
        _lastRevision = revision;
        await SwapAsync(target, key, expected);
    }

    private Task<Outcome> SwapAsync(TestNode target, string key, long expected)
    {
        var op = Begin(OperationKind.Cas, key, shared.NextValue()) with
        {
            ExpectedRevision = expected,
        };
        byte[] name = Bytes(key);
        byte[] value = Bytes(op.Value!);
        return plan.Sabotage == Sabotage.CompareIgnored
            ? ProposeAsync(
                op, target, id => CommandEncoder.KvPut(name, value, id: id),
                done => op with { Swapped = true, Revision = done.Result.Revision })
            : ProposeAsync(
                op, target, id => CommandEncoder.KvCas(name, expected, value, id),
                done => op with
                {
                    Swapped = done.Result.Matched,
                    Revision = done.Result.Matched ? done.Result.Revision : null,
                });
    }

    // The revision that was read, 0 where there is no key; null when there was no answer.
    private async Task<long?> GetAsync(TestNode target, string key)
    {
        var op = Begin(OperationKind.Get, key, null);
        try
        {
            bool barrier = plan.Sabotage != Sabotage.StaleReads;
            var (value, revision) = await WithinAsync(
                CallMs, token => target.ReadAsync(key, barrier, token));
            shared.Add(op with
            {
                Value = value,
                Revision = revision,
                ReturnNs = FaultClients.NowNs,
                Outcome = Outcome.Ok,
            });
            return revision;
        }
        catch (Exception e) when (e is PgraftException or InvalidOperationException
            or ObjectDisposedException or TimeoutException)
        {
            // A read that was not answered tells nothing.
            return null;
        }
    }

    private Operation Begin(OperationKind kind, string key, string? value) =>
        new(_process, kind, key, value, FaultClients.NowNs, 0, Outcome.Unknown);

    private async Task<Outcome> ProposeAsync(
        Operation op, TestNode target, Func<RequestId, byte[]> encode,
        Func<Proposal, Operation> succeeded, long expectedTerm = 0)
    {
        var end = new Operation?[1];
        var call = new Call(encode, expectedTerm, p => end[0] = succeeded(p));
        var outcome = repeats
            ? await RepeatAsync(call, target)
            : (await AttemptAsync(call, default, target, CallMs)).Outcome;
        var done = outcome == Outcome.Ok ? end[0]! : op;
        shared.Add(done with { Outcome = outcome, ReturnNs = FaultClients.NowNs });
        if (outcome == Outcome.Unknown)
        {
            // That call is under way for ever: whoever calls next is another one.
            _process = shared.NextProcess();
        }

        return outcome;
    }

    private async Task<Outcome> RepeatAsync(Call call, TestNode target)
    {
        long deadlineNs = FaultClients.NowNs + (PatientCallMs * 1_000_000L);
        var id = NewId(target);
        bool isUnknown = false;
        while (true)
        {
            // One in four is given up while it is on its way, so that there will be two of them.
            int limitMs = Random.Next(4) == 0 ? HastyAttemptMs : AttemptMs;
            var attempt = await AttemptAsync(call, id, target, limitMs);
            isUnknown |= attempt.Outcome == Outcome.Unknown;
            if (attempt.IsLastWord)
            {
                return attempt.Outcome;
            }

            if (FaultClients.NowNs > deadlineNs || !MayRepeat(attempt.Code, call, isUnknown))
            {
                return isUnknown ? Outcome.Unknown : Outcome.Failed;
            }

            // Not to spin while nobody leads.
            await Task.Delay(Random.Next(1, 20));
            target = shared.Target(Random) ?? target;
            id = plan.Sabotage == Sabotage.RetriesAreNew ? NewId(target) : id;
        }
    }

    // As the core has it: what is certainly not done may be tried again, what is unknown must be.
    private static bool MayRepeat(StatusCode code, Call call, bool isUnknown) => code switch
    {
        StatusCode.NotLeader or StatusCode.NoLeader or StatusCode.OutcomeUnknown => true,
        StatusCode.NotDone => isUnknown || call.ExpectedTerm == 0,
        _ => false,
    };

    private RequestId NewId(TestNode target)
    {
        try
        {
            return new RequestId(_session, 0, ++_sequence, target.StateMachine.AppliedIndex);
        }
        catch (InvalidOperationException)
        {
            // It was stopped under our hands; 0 is applied everywhere.
            return new RequestId(_session, 0, _sequence, 0);
        }
    }

    private static async Task<Attempt> AttemptAsync(
        Call call, RequestId id, TestNode target, int limitMs)
    {
        try
        {
            byte[] command = call.Encode(id);
            var done = await WithinAsync(
                limitMs,
                token => target.Node.ProposeAsync(command, call.ExpectedTerm, token).AsTask());
            if (done.Result.Status != StatusCode.Ok)
            {
                // The state machine's word: nothing of it was or will be done, but for a request
                // that it has forgotten.
                bool isForgotten = done.Result.Status == StatusCode.NotFound;
                return new(Outcome.Failed, done.Result.Status, IsLastWord: !isForgotten);
            }

            call.Succeeded(done);
            return new(Outcome.Ok, StatusCode.Ok, IsLastWord: true);
        }
        catch (PgraftException e)
        {
            bool never =
                e.Code is StatusCode.NotLeader or StatusCode.NotDone or StatusCode.NoLeader;
            return new(never ? Outcome.Failed : Outcome.Unknown, e.Code);
        }
        catch (Exception e) when (e is InvalidOperationException or ObjectDisposedException
            or TimeoutException)
        {
            // Stopped under the client's hands, or it stands still: it may have gone out.
            return new(Outcome.Unknown, StatusCode.OutcomeUnknown);
        }
    }

    // A backend leaves a worker that does not take its call in; one whose disk hangs does not, once
    // it has a term to save.
    private static Task<T> WithinAsync<T>(int limitMs, Func<CancellationToken, Task<T>> call) =>
        Task.Run(async () =>
        {
            using var limit = new CancellationTokenSource(limitMs);
            return await call(limit.Token);
        }).WaitAsync(TimeSpan.FromMilliseconds(limitMs + GraceMs));

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

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private sealed record Call(
        Func<RequestId, byte[]> Encode, long ExpectedTerm, Action<Proposal> Succeeded);

    private readonly record struct Attempt(
        Outcome Outcome, StatusCode Code, bool IsLastWord = false);
}
