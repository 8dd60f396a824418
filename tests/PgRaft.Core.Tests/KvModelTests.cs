// The store against a naive model that keeps every write for ever in one list, under random
// commands, restarts from snapshots included: two members that took different roads to the same
// index must agree to the last version kept, and on the hash.
using CsCheck;

using PgRaft.Core.Kv;

using Xunit;

namespace PgRaft.Core.Tests;

public class KvModelTests
{
    private enum Act
    {
        Put,
        Delete,
        Compact,
        Restart,
    }

    private static readonly string[] Keys = ["a", "aa", "ab", "b", "b\0", "ba", "é", "z"];

    private static readonly Gen<(Act Act, string Key, int Number)> Step = Gen.Select(
        Gen.Int[0, 17].Select(ActOf),
        Gen.Int[0, Keys.Length - 1].Select(i => Keys[i]),
        Gen.Int[0, 1000]);

    [Fact]
    public void Behaves_as_the_model() => Step.Array[0, 120].Sample(
        steps =>
        {
            var machine = new StateMachine();
            var undisturbed = new StateMachine();
            var model = new Model();
            foreach (var step in steps)
            {
                if (step.Act == Act.Restart)
                    machine = Machines.Restored(machine.Snapshot());
                else
                    ApplyToAll(machine, undisturbed, model, step);
                if (step.Number % 8 == 0)
                    AssertEqual(model, machine.Kv);
            }

            AssertEqual(model, machine.Kv);
            Assert.Equal(undisturbed.Hash(), machine.Hash());
        },
        iter: 300);

    private static Act ActOf(int number) => number switch
    {
        < 10 => Act.Put,
        < 15 => Act.Delete,
        < 17 => Act.Compact,
        _ => Act.Restart,
    };

    private static void ApplyToAll(
        StateMachine machine,
        StateMachine undisturbed,
        Model model,
        (Act Act, string Key, int Number) step)
    {
        var expected = step.Act switch
        {
            Act.Put => model.Put(step.Key, new string('v', step.Number % 20)),
            Act.Delete => model.Delete(step.Key),
            _ => model.Compact(step.Number % 100),
        };
        foreach (var each in new[] { machine, undisturbed })
        {
            var actual = step.Act switch
            {
                Act.Put => each.Put(step.Key, new string('v', step.Number % 20)),
                Act.Delete => each.Delete(step.Key),
                _ => each.Compact(step.Number % 100),
            };
            Assert.Equal(expected with { Index = each.AppliedIndex }, actual);
        }
    }

    private static void AssertEqual(Model model, KvView view)
    {
        Assert.Equal(model.Stats, view.Stats);
        foreach (string key in model.EverySeenKey)
            Assert.Equal(model.KeptVersions(key), view.Versions(key));
        for (long at = Math.Max(1, view.CompactedRevision); at <= view.Revision; at++)
            Assert.True(model.LiveAt(at).SequenceEqual(Live(view.List(default, at))));
        var live = model.LiveAt(view.Revision);
        Assert.Equal(live, Live(view.List(default)));
        foreach (string key in model.EverySeenKey)
            Assert.Equal(live.Find(e => e.Key == key)?.Value, view.Get(key));
    }

    private static List<Row> Live(IEnumerable<KvEntry> entries) =>
        [.. entries.Select(e => new Row(
            Machines.Text(e.Key),
            Machines.Text(e.Value),
            e.CreateRevision,
            e.ModRevision,
            e.Version))];

    private sealed record Row(string Key, string Value, long Create, long Mod, long Version);

    /// <summary>Write number n, counted from 1, made revision n.</summary>
    private sealed class Model
    {
        private readonly List<(string Key, string? Value)> _writes = [];
        private long _compacted;

        public IEnumerable<string> EverySeenKey => _writes.Select(w => w.Key).Distinct();

        public KvStats Stats
        {
            get
            {
                var live = LiveAt(_writes.Count);
                return new KvStats
                {
                    TotalKeys = live.Count,
                    TotalBytes = live.Sum(
                        e => Machines.Bytes(e.Key).Length + Machines.Bytes(e.Value).Length),
                    Revision = _writes.Count,
                    CompactedRevision = _compacted,
                    Puts = _writes.Count(w => w.Value != null),
                    Deletes = _writes.Count(w => w.Value == null),
                };
            }
        }

        public ApplyResult Put(string key, string value)
        {
            bool existed = Exists(key);
            _writes.Add((key, value));
            return Result(StatusCode.Ok, existed);
        }

        public ApplyResult Delete(string key)
        {
            bool existed = Exists(key);
            if (existed)
                _writes.Add((key, null));
            return Result(StatusCode.Ok, existed);
        }

        public ApplyResult Compact(long revision)
        {
            if (revision > _writes.Count)
                return Result(StatusCode.BadArgument, existed: false);
            _compacted = Math.Max(_compacted, revision);
            return Result(StatusCode.Ok, existed: false);
        }

        /// <summary>The versions after the compacted revision, and the one visible at it.</summary>
        public int KeptVersions(string key)
        {
            int after = _writes.Skip((int)_compacted).Count(w => w.Key == key);
            var until = _writes.Take((int)_compacted).LastOrDefault(w => w.Key == key);
            return after + (until.Value != null ? 1 : 0);
        }

        public List<Row> LiveAt(long revision)
        {
            var rows = new Dictionary<string, Row>();
            for (int n = 1; n <= revision; n++)
            {
                var (key, value) = _writes[n - 1];
                if (value == null)
                    rows.Remove(key);
                else if (rows.TryGetValue(key, out var row))
                    rows[key] = new Row(key, value, row.Create, n, row.Version + 1);
                else
                    rows[key] = new Row(key, value, n, n, 1);
            }

            return [.. rows.Values.OrderBy(r => Convert.ToHexString(Machines.Bytes(r.Key)),
                StringComparer.Ordinal)];
        }

        private bool Exists(string key) => LiveAt(_writes.Count).Exists(e => e.Key == key);

        private ApplyResult Result(StatusCode status, bool existed) =>
            new() { Status = status, Revision = _writes.Count, Existed = existed };
    }
}
