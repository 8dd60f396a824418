// Which lines of a server's log count against it. Threading: none.

using PgRaft.Chaos.Checks;

namespace PgRaft.Chaos.Tests;

public sealed class ServerLogsTests
{
    [Theory]
    [InlineData("worker FATAL:  pgraft: the cluster worker failed: broken invariant: two leaders")]
    [InlineData("startup PANIC:  could not locate a valid checkpoint record")]
    [InlineData("LOG:  background worker \"x\" (PID 1) was terminated by signal 11: fault")]
    [InlineData("LOG:  server process (PID 1) was terminated by signal 6: Aborted")]
    public void Wrong(string line)
    {
        Assert.Equal([line], ServerLogs.WrongIn($"LOG:  before\n{line}\nLOG:  after\n"));
    }

    [Theory]
    [InlineData("LOG:  background worker \"x\" (PID 1) was terminated by signal 9: Killed")]
    [InlineData("worker ERROR:  pgraft: no majority of the members confirmed the read")]
    public void Right(string line)
    {
        Assert.Empty(ServerLogs.WrongIn($"{line}\n"));
    }

    [Fact]
    public void WhatIsStrangeIsToldWithItsReason()
    {
        const string Text = "pgraft: [2040] core: a task failed that nobody waited for: A at line ";
        Assert.Equal(
            ["a task failed that nobody waited for: A at line N",
                "a task failed that nobody waited for: A at line N",
                "The unexpected exception occurred: cannot open \"f\""],
            ServerLogs.StrangeIn($"ERROR:  {Text}17\nLOG:  else\nERROR:  {Text}18\n"
                + "ERROR:  The unexpected exception occurred: cannot open \"f\"\n"));
    }
}
