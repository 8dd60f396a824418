// Removes what a run that was killed has left behind: servers in its network namespaces, the
// namespaces, and the links and the bridge outside them. Runs that are still alive are left alone:
// the process id is in every name.
//
// Threading: no state. Failure: what cannot be removed stays, and the next run tries again.

using System.Globalization;
using System.Text.RegularExpressions;
using PgRaft.Harness;

namespace PgRaft.Chaos.Network;

internal static partial class Leftovers
{
    /// <param name="prefix">Of the namespaces' names; the run's process id follows.</param>
    public static async Task RemoveAsync(string prefix)
    {
        var names = (await Command.TryRunAsync("ip", "netns", "list")).Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split(' ')[0])
            .Where(name => name.StartsWith(prefix, StringComparison.Ordinal));
        foreach (var name in names.Where(name => IsDead(name[prefix.Length..].Split('-')[0])))
        {
            await KillAsync(name);
            await Command.TryRunAsync("ip", "netns", "del", name);
        }

        var links = (await Command.TryRunAsync("ip", "-o", "link")).Output;
        foreach (Match link in OwnLink().Matches(links))
        {
            if (IsDead(link.Groups["pid"].Value))
            {
                await Command.TryRunAsync("ip", "link", "del", link.Groups["name"].Value);
            }
        }
    }

    private static bool IsDead(string pid)
    {
        return int.TryParse(pid, CultureInfo.InvariantCulture, out var number)
            && !ServerProcesses.Exists(number);
    }

    private static async Task KillAsync(string networkNamespace)
    {
        var pids = (await Command.TryRunAsync("ip", "netns", "pids", networkNamespace)).Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach (var pid in pids)
        {
            if (int.TryParse(pid, CultureInfo.InvariantCulture, out var number))
            {
                ServerProcesses.Kill(number);
            }
        }
    }

    [GeneratedRegex(@"^\d+: (?<name>pgr[bv](?<pid>\d+)(-\d+)?)[@:]", RegexOptions.Multiline)]
    private static partial Regex OwnLink();
}
