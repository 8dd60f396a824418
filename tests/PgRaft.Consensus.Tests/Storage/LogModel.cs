// A seeded workload over a log on a simulated disk, and the judge of what is found after a power
// failure: every state the log went through is remembered, so "what was recovered is a state it
// really had, and none older than the last one confirmed" can be said exactly.
using System.Runtime.InteropServices;
using System.Text;
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using Xunit;

namespace PgRaft.Consensus.Tests.Storage;

internal sealed class LogModel(SimulatedDisk disk, Random random)
{
    private const int OperationCount = 24;

    // Each state: entries by index above the base of the time.
    private readonly List<SortedDictionary<long, LogRecord>> _states = [new()];
    private int _confirmed;
    private long _term = 1;
    private int _nextPayload;

    internal long BaseIndex { get; private set; }

    internal long BaseTerm { get; private set; }

    private SortedDictionary<long, LogRecord> Now => _states[^1];

    internal static LogOptions OptionsOn(SimulatedDisk disk) => new()
    {
        Directory = "/log",
        SegmentBytes = LogOptions.MinSegmentBytes,
        CacheBytes = 2048,
        Io = disk,
    };

    // Ends early when the power goes.
    internal async Task RunAsync()
    {
        SegmentedLog? log = null;
        try
        {
            log = SegmentedLog.Open(OptionsOn(disk), BaseIndex, BaseTerm);
            for (int i = 0; i < OperationCount; i++)
            {
                await StepAsync(log);
            }
        }
        catch (PgraftException) when (disk.IsOff)
        {
        }
        finally
        {
            log?.Dispose();
        }
    }

    // Opens what the power failure left, judges it, uses it, and judges that.
    internal async Task CheckAsync(SimulatedDisk rebooted, string context)
    {
        using (SegmentedLog log = SegmentedLog.Open(OptionsOn(rebooted), BaseIndex, BaseTerm))
        {
            Judge(log, context);
            long term = Math.Max(_term, log.TermAt(log.LastIndex)) + 1;
            long first = log.Append(term, EntryKind.Empty, []);
            long last = log.Append(term, EntryKind.Command, "after"u8);
            await log.WaitDurableAsync(last);
            Assert.Equal(first, last - 1);
        }

        LogOptions options = OptionsOn(rebooted.Clone());
        using SegmentedLog again = SegmentedLog.Open(options, BaseIndex, BaseTerm);
        Assert.Equal("after"u8.ToArray(), again.Read(again.LastIndex).Payload.ToArray());
        Assert.Equal(EntryKind.Empty, again.Read(again.LastIndex - 1).Kind);
    }

    private async Task StepAsync(SegmentedLog log)
    {
        switch (random.Next(10))
        {
            case < 5:
                Append(log);
                break;
            case < 8:
                Replace(log);
                break;
            case 8:
                await CompactAsync(log);
                break;
            default:
                Reset(log);
                break;
        }

        if (random.Next(2) == 0)
        {
            await ConfirmAsync(log);
        }
    }

    private async Task ConfirmAsync(SegmentedLog log)
    {
        int state = _states.Count - 1;
        await log.WaitDurableAsync(log.LastIndex);
        _confirmed = state;
    }

    private void Append(SegmentedLog log)
    {
        if (random.Next(3) == 0)
        {
            _term++;
        }

        for (int i = random.Next(1, 6); i > 0; i--)
        {
            LogRecord record = NewRecord(LastIndex() + 1);
            Push(record);
            bool gathers = random.Next(2) == 0;
            Assert.Equal(
                record.Index,
                log.Append(record.Term, record.Kind, record.Payload.Span, gathers));
        }
    }

    // As a follower of a new leader: some entries the same, the rest cut and replaced.
    private void Replace(SegmentedLog log)
    {
        long from = BaseIndex + 1 + random.Next((int)(LastIndex() - BaseIndex) + 1);
        _term++;
        var records = new List<LogRecord>();
        if (from - 1 > BaseIndex)
        {
            records.Add(Now[from - 1]);
        }

        for (int i = random.Next(1, 5); i > 0; i--)
        {
            LogRecord record = NewRecord(from++);
            records.Add(record);
            Push(record);
        }

        log.AppendRange(CollectionsMarshal.AsSpan(records));
    }

    // A snapshot is durable elsewhere first.
    private async Task CompactAsync(SegmentedLog log)
    {
        await ConfirmAsync(log);
        long index = LastIndex() - random.Next(4);
        if (index > BaseIndex)
        {
            BaseTerm = Now[index].Term;
            BaseIndex = index;
            log.CompactPrefix(index);
        }
    }

    private void Reset(SegmentedLog log)
    {
        BaseTerm = ++_term;
        BaseIndex = Math.Max(BaseIndex + 1, LastIndex() + random.Next(-1, 5));
        _states.Add([]);
        log.Reset(BaseIndex, BaseTerm);
    }

    private long LastIndex() => Now.Count == 0 ? BaseIndex : Now.Keys.Last();

    private LogRecord NewRecord(long index)
    {
        int size = random.Next(8) == 0 ? random.Next(1500) : random.Next(120);
        string text = $"{index}/{_term}/{_nextPayload++}/".PadRight(size + 1, 'x');
        return new LogRecord(index, _term, EntryKind.Command, Encoding.UTF8.GetBytes(text));
    }

    private void Push(LogRecord record)
    {
        var next = new SortedDictionary<long, LogRecord>();
        foreach ((long index, LogRecord entry) in Now)
        {
            if (index < record.Index)
            {
                next.Add(index, entry);
            }
        }

        next.Add(record.Index, record);
        _states.Add(next);
    }

    private void Judge(SegmentedLog log, string context)
    {
        Assert.True(log.FirstIndex <= BaseIndex + 1, $"{context}: begins at {log.FirstIndex}");
        Assert.True(log.LastIndex >= BaseIndex, $"{context}: ends at {log.LastIndex}");
        Assert.Equal(BaseTerm, log.TermAt(BaseIndex));
        var found = new List<LogRecord>();
        for (long index = BaseIndex + 1; index <= log.LastIndex; index++)
        {
            found.Add(log.Read(index));
        }

        bool known = _states.Skip(_confirmed).Any(state => Matches(state, found));
        Assert.True(known, $"{context}: base {BaseIndex}, recovered {Describe(found)}, confirmed "
            + $"{Describe(_states[_confirmed].Values)}, last {Describe(Now.Values)}");
    }

    private bool Matches(SortedDictionary<long, LogRecord> state, List<LogRecord> found)
    {
        bool connects = BaseIndex == 0
            || (state.TryGetValue(BaseIndex, out LogRecord at) && at.Term == BaseTerm)
            || (state.Count > 0 && state.Keys.First() == BaseIndex + 1);
        IEnumerable<LogRecord> expected = connects
            ? state.Values.Where(entry => entry.Index > BaseIndex)
            : [];
        return expected.SequenceEqual(found, RecordComparer.Instance);
    }

    private static string Describe(IEnumerable<LogRecord> records) =>
        string.Join(' ', records.Select(record => $"{record.Index}:{record.Term}"));

    private sealed class RecordComparer : IEqualityComparer<LogRecord>
    {
        internal static readonly RecordComparer Instance = new();

        public bool Equals(LogRecord x, LogRecord y) =>
            x.Index == y.Index && x.Term == y.Term && x.Kind == y.Kind
            && x.Payload.Span.SequenceEqual(y.Payload.Span);

        public int GetHashCode(LogRecord record) => record.Index.GetHashCode();
    }
}
