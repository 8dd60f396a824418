// What pgraft has said in the servers' logs since a moment. PostgreSQL's own lines, of checkpoints
// and the like, are not counted: they do not have pgraft in them, neither as the process that wrote
// them nor in their text.
//
// Threading: one test; the servers may write. Failure: none.

namespace PgRaft.Cluster.Tests.Support;

internal sealed class LogLines
{
    private readonly Dictionary<TestServer, int> _before;

    private LogLines(IEnumerable<TestServer> servers)
    {
        _before = servers.ToDictionary(s => s, s => s.Log().Length);
    }

    /// <summary>Counts from now on.</summary>
    public static LogLines Since(IEnumerable<TestServer> servers)
    {
        return new LogLines(servers);
    }

    /// <summary>The lines of each server, by its node id.</summary>
    public IReadOnlyDictionary<int, string[]> ByNode()
    {
        return _before.ToDictionary(b => b.Key.NodeId, b => Lines(b.Key.Log()[b.Value..]));
    }

    private static string[] Lines(string text)
    {
        return [.. text.Split('\n')
            .Where(line => line.Contains("pgraft", StringComparison.Ordinal))];
    }
}
