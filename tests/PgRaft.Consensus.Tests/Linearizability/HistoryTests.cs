// The recorder: nothing is lost between threads, and the file says what was recorded.
using System.Text.Json;
using PgRaft.Histories;
using Xunit;

namespace PgRaft.Consensus.Tests.Linearizability;

public class HistoryTests
{
    [Fact]
    public async Task Every_operation_of_every_thread_is_there_in_the_order_of_calls()
    {
        const int Threads = 4;
        const int Each = 2000;
        var history = new History();
        using var start = new Barrier(Threads);
        await Task.WhenAll(Enumerable.Range(0, Threads).Select(t => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait();
                for (int i = 0; i < Each; i++)
                {
                    history.Add(Call((t * Each) + i));
                }
            },
            CancellationToken.None,
            TaskCreationOptions.LongRunning,
            TaskScheduler.Default)));
        Assert.Equal(
            Enumerable.Range(0, Threads * Each).Select(i => (long)i),
            history.Operations.Select(o => o.CallNs));
    }

    [Fact]
    public void Operations_is_a_copy()
    {
        var history = new History();
        history.Add(Call(1));
        IReadOnlyList<Operation> before = history.Operations;
        history.Add(Call(2));
        Assert.Single(before);
        Assert.Equal(2, history.Operations.Count);
    }

    [Fact]
    public void The_file_has_a_line_an_operation()
    {
        string path = Path.GetTempFileName();
        try
        {
            var history = new History();
            history.Add(new(3, OperationKind.Get, "k", null, 20, 30, Outcome.Unknown));
            history.Add(new(2, OperationKind.Put, "k", "b", 15, 18, Outcome.Failed));
            history.Add(new(1, OperationKind.Put, "k", "a\n\"", 10, 12, Outcome.Ok));
            history.WriteJsonLines(path);
            string[] lines = File.ReadAllLines(path);
            Assert.Equal(3, lines.Length);
            Assert.Equal("a\n\"", JsonDocument.Parse(lines[0]).RootElement
                .GetProperty("value").GetString());
            Assert.Equal(
                """{"process":2,"type":"fail","op":"put","key":"k","value":"b","""
                + "\"call_ns\":15,\"return_ns\":18,\"outcome\":\"failed\"}",
                lines[1]);
            Assert.Equal(
                """{"process":3,"type":"info","op":"get","key":"k","value":null,"""
                + "\"call_ns\":20,\"return_ns\":30,\"outcome\":\"unknown\"}",
                lines[2]);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void The_file_has_what_swaps_and_appends_are_asked_and_told()
    {
        string path = Path.GetTempFileName();
        try
        {
            var history = new History();
            history.Add(new(1, OperationKind.Cas, "k", "b", 1, 2, Outcome.Ok)
            {
                Expected = "a",
                Swapped = true,
                Revision = 7,
            });
            history.Add(new(1, OperationKind.Cas, "k", "c", 3, 4, Outcome.Ok)
            {
                ExpectedRevision = 6,
            });
            history.Add(new(1, OperationKind.Append, "", "x", 5, 6, Outcome.Ok)
            {
                Term = 3,
                Index = 9,
            });
            history.WriteJsonLines(path);
            Assert.Equal(
                [
                    """{"process":1,"type":"ok","op":"cas","key":"k","value":"b","call_ns":1,"""
                    + "\"return_ns\":2,\"outcome\":\"ok\",\"expected\":\"a\",\"swapped\":true,"
                    + "\"revision\":7}",
                    """{"process":1,"type":"ok","op":"cas","key":"k","value":"c","call_ns":3,"""
                    + "\"return_ns\":4,\"outcome\":\"ok\",\"expected_revision\":6,"
                    + "\"swapped\":false}",
                    """{"process":1,"type":"ok","op":"append","key":"","value":"x","call_ns":5,"""
                    + "\"return_ns\":6,\"outcome\":\"ok\",\"term\":3,\"index\":9}",
                ],
                File.ReadAllLines(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void What_is_read_back_is_what_was_written()
    {
        using var file = new TemporaryFile();
        var history = new History();
        history.Add(new(0, OperationKind.Put, "k", "a\n\"", 1, 2, Outcome.Ok) { Revision = 3 });
        history.Add(new(0, OperationKind.Get, "k", null, 3, 4, Outcome.Failed));
        history.Add(new(0, OperationKind.Cas, "k", "b", 5, 6, Outcome.Unknown) { Expected = "a" });
        history.Add(new(1, OperationKind.Cas, "k", "c", 5, 6, Outcome.Ok)
        {
            ExpectedRevision = 3,
            Swapped = true,
            Revision = 7,
        });
        history.WriteJsonLines(file.Path);
        var more = new History();
        more.Add(new(1, OperationKind.Append, "", "x", 7, 8, Outcome.Ok) { Term = 3, Index = 9 });
        more.AppendJsonLines(file.Path);
        Assert.Equal([.. history.Operations, .. more.Operations], HistoryFile.Read(file.Path));
    }

    [Theory]
    [InlineData("{", "", "JSON")]
    [InlineData("\"key\":\"k\",", "", "not present")]
    [InlineData("\"ok\",\"op\"", "\"info\",\"op\"", "no such outcome")]
    [InlineData("put", "add", "no such operation")]
    [InlineData("put", "append", "not present")]
    [InlineData("\"return_ns\":40", "\"return_ns\":29", "before its call")]
    [InlineData("\"call_ns\":30", "\"call_ns\":19", "another call under way")]
    [InlineData("\"process\":8", "\"process\":7", "another call under way")]
    public void A_line_that_is_wrong_is_named(string find, string put, string why)
    {
        using var file = new TemporaryFile();
        var history = new History();
        history.Add(new(7, OperationKind.Put, "k", "a", 1, 10, Outcome.Unknown));
        history.Add(new(8, OperationKind.Put, "k", "b", 2, 20, Outcome.Ok));
        history.WriteJsonLines(file.Path);
        const string Right = """{"process":8,"type":"ok","op":"put","key":"k","value":"c","""
            + "\"call_ns\":30,\"return_ns\":40,\"outcome\":\"ok\"}";
        string wrong = Right.Replace(find, put, StringComparison.Ordinal);
        Assert.NotEqual(Right, wrong);
        File.AppendAllText(file.Path, wrong + "\n");
        var error = Assert.Throws<InvalidDataException>(() => HistoryFile.Read(file.Path));
        Assert.StartsWith($"line 3 of {file.Path}: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
    }

    private sealed class TemporaryFile : IDisposable
    {
        public string Path { get; } = System.IO.Path.GetTempFileName();

        public void Dispose() => File.Delete(Path);
    }

    private static Operation Call(long call) =>
        new(0, OperationKind.Put, "k", "v", call, call, Outcome.Ok);
}
