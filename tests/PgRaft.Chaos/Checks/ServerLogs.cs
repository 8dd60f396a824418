// Looks through the servers' logs for what no fault excuses: a process that ended by a signal that
// nobody sent, an invariant that the core found broken; and counts what is at least strange.
//
// Threading: one task. Failure: none; what is wrong is returned.

using System.Text.RegularExpressions;
using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Checks;

internal sealed partial class ServerLogs(ChaosCluster cluster)
{
    private readonly int[] _read = new int[cluster.Nodes.Count];
    private readonly Dictionary<string, int> _strange = [];

    /// <summary>Messages that should not be there but say nothing false, with their numbers.
    /// </summary>
    public IReadOnlyDictionary<string, int> Strange => _strange;

    /// <summary>What is wrong in the lines since the last call.</summary>
    public IReadOnlyList<string> Check()
    {
        return [.. cluster.Nodes.SelectMany(Check)];
    }

    /// <summary>The lines that tell of a crash or of a broken invariant.</summary>
    internal static IReadOnlyList<string> WrongIn(string log)
    {
        return [.. Wrong().Matches(log).Select(m => m.Value)];
    }

    /// <summary>What is strange, as one text for those that differ in numbers only.</summary>
    internal static IReadOnlyList<string> StrangeIn(string log)
    {
        return [.. Odd().Matches(log).Select(m => Number().Replace(m.Value, "N"))];
    }

    private IEnumerable<string> Check(ChaosNode node)
    {
        var log = node.Server.Log();
        var added = log[_read[node.Slot]..];
        _read[node.Slot] = log.Length;
        foreach (var message in StrangeIn(added))
        {
            _strange[message] = _strange.GetValueOrDefault(message) + 1;
        }

        return WrongIn(added).Select(line => $"log of {node.Name}: {line}");
    }

    // SIGKILL and SIGSTOP are the faults' own.
    [GeneratedRegex(@"^.*(broken invariant|PANIC:|terminated by signal (?!9\b|19\b)\d+).*$",
        RegexOptions.Multiline)]
    private static partial Regex Wrong();

    [GeneratedRegex(
        "(a task failed that nobody waited for|The unexpected exception occurred: )[^\n]{0,300}")]
    private static partial Regex Odd();

    [GeneratedRegex("[0-9]+")]
    private static partial Regex Number();
}
