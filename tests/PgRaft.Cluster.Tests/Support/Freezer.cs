// Processes that stand still: SIGSTOP and SIGCONT, for a server as a whole or for single processes.
// A frozen process keeps its sockets and memory, so to the others it is silent and not dead.
//
// Threading: one test. Failure: a process that is gone counts as frozen; disposing thaws what is
// left, so that a failed test leaves nothing behind that cannot end.

using System.Globalization;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class Freezer : IAsyncDisposable
{
    private readonly int[] _pids;
    private bool _thawed;

    private Freezer(int[] pids)
    {
        _pids = pids;
    }

    /// <summary>A moment, by the wall clock, at which all of the processes stood still.</summary>
    public DateTime StoppedAt { get; private set; }

    /// <summary>Freezes a server: the postmaster and all of its children.</summary>
    public static async Task<Freezer> ServerAsync(TestServer server)
    {
        // The postmaster first, so that it starts no child meanwhile.
        await SignalAsync("-STOP", [server.Postmaster]);
        return await ProcessesAsync(
            [server.Postmaster, .. ServerProcesses.ChildrenOf(server.Postmaster)]);
    }

    /// <summary>Freezes processes and returns when all stand still.</summary>
    public static async Task<Freezer> ProcessesAsync(params int[] pids)
    {
        var freezer = new Freezer(pids);
        await SignalAsync("-STOP", pids);
        await Poll.UntilAsync("frozen processes", () => pids.All(IsStopped));
        freezer.StoppedAt = DateTime.UtcNow;
        return freezer;
    }

    /// <summary>Lets the processes go on.</summary>
    public async Task ThawAsync()
    {
        if (!_thawed)
        {
            _thawed = true;
            await SignalAsync("-CONT", _pids);
        }
    }

    /// <summary>The processes are about to be killed: their ids must not be signalled later.
    /// </summary>
    public void Abandon()
    {
        _thawed = true;
    }

    public async ValueTask DisposeAsync()
    {
        await ThawAsync();
    }

    private static Task<CommandResult> SignalAsync(string signal, int[] pids)
    {
        return Command.TryRunAsync(
            "kill", [signal, .. pids.Select(p => p.ToString(CultureInfo.InvariantCulture))]);
    }

    // Every thread, because they stop one after the other. A backend that had just ended is a
    // zombie until its postmaster goes on.
    private static bool IsStopped(int pid)
    {
        try
        {
            return Directory.EnumerateDirectories($"/proc/{pid}/task")
                .All(task => File.ReadLines($"{task}/status")
                    .Any(line => line is ['S', 't', 'a', 't', 'e', ':', '\t', 'T' or 'Z', ..]));
        }
        catch (IOException)
        {
            return true;
        }
    }
}
