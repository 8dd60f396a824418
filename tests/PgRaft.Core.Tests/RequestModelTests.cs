// Requests against a model that forgets nothing: clients number their requests, copies are
// duplicated, delayed and reordered without bound, sessions come and are forgotten, members restart
// from snapshots. Each request must take effect at most once, and whatever is answered with Ok must
// be the answer of the one time it did.
using CsCheck;

using PgRaft.Core.Commands;
using PgRaft.Core.Requests;

using Xunit;

namespace PgRaft.Core.Tests;

public class RequestModelTests
{
    private static readonly Gen<(int Act, int Pick, int Slot)> Step =
        Gen.Select(Gen.Int[0, 99], Gen.Int[0, int.MaxValue], Gen.Int[0, 2]);

    [Fact]
    public void Each_request_takes_effect_at_most_once() => Step.Array[0, 1200].Sample(
        steps =>
        {
            var run = new Run();
            foreach (var step in steps)
                run.Take(step.Act, step.Pick, step.Slot);
            run.Finish();
        },
        iter: 50);

    private sealed class Run
    {
        private readonly List<byte[]> _copies = [];
        private readonly List<RequestId> _ids = [];
        private readonly Dictionary<(ulong, int), long> _sequences = [];
        private readonly Dictionary<byte[], ApplyResult> _effects = [];
        private readonly StateMachine _undisturbed = new();
        private StateMachine _machine = new();
        private ulong _sessions = 1;

        public void Take(int act, int pick, int slot)
        {
            switch (act)
            {
                case < 30:
                    Begin(Session(pick), slot);
                    break;
                case < 60:
                    Begin(++_sessions, slot);
                    break;
                case < 61:
                    _machine = Machines.Restored(_machine.Snapshot());
                    break;
                default:
                    if (_copies.Count > 0)
                        Apply(pick % _copies.Count);
                    break;
            }
        }

        public void Finish()
        {
            for (int i = _copies.Count - 1; i >= 0; i--)
                Apply(i);
            Assert.Equal(_undisturbed.Hash(), _machine.Hash());
            Assert.Equal(_effects.Count, _machine.Kv.Revision);
            Assert.True(_machine.Capture().Requests.Count <= Limits.MaxSessions);
        }

        // Recent ones, and old ones that are forgotten by then.
        private ulong Session(int pick) => pick % 2 == 0
            ? _sessions - ((ulong)pick % Math.Min(_sessions, 4))
            : 1 + ((ulong)pick % Math.Min(_sessions, 9));

        private void Begin(ulong session, int slot)
        {
            long sequence = _sequences.GetValueOrDefault((session, slot)) + 1;
            _sequences[(session, slot)] = sequence;
            var id = new RequestId(session, slot, sequence, _machine.AppliedIndex);
            _ids.Add(id);
            _copies.Add(CommandEncoder.KvPut([(byte)slot], [], 0, id));
            if (sequence % 3 != 0)
                Apply(_copies.Count - 1);
        }

        private void Apply(int copy)
        {
            long before = _machine.Kv.Revision;
            var result = _machine.Next(_copies[copy]);
            Assert.Equal(result, _undisturbed.Next(_copies[copy]));
            if (_machine.Kv.Revision > before)
                Assert.True(_effects.TryAdd(_copies[copy], result), "it took effect twice");
            if (result.Status == StatusCode.Ok)
                Assert.Equal(_effects[_copies[copy]], result);
            else
                Assert.Equal(StatusCode.NotFound, result.Status);
            AssertNewIsTaken(copy, result);
        }

        // The last request of a slot, if it knows of all that was forgotten, is never refused.
        private void AssertNewIsTaken(int copy, ApplyResult result)
        {
            var id = _ids[copy];
            bool isLast = _sequences[(id.Session, id.Slot)] == id.Sequence;
            if (isLast && id.BaseIndex >= _machine.Capture().Requests.ForgottenIndex)
                Assert.Equal(StatusCode.Ok, result.Status);
        }
    }
}
