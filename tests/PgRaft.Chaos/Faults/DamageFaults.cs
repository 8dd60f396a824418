// Files of a member that are damaged while it is down. The member must refuse to start and name
// the file and the offset; it is then removed, wiped and added anew. A log that ends in the middle
// of a batch, though, is what a power failure leaves: that member must start.
//
// Threading and failure: as the base class; a member that starts although it must not, or the
// other way round, is a violation.

using System.Text.RegularExpressions;
using PgRaft.Chaos.Nodes;
using PgRaft.Harness;

namespace PgRaft.Chaos.Faults;

internal abstract partial class DamageFault(FaultContext context) : NodeFault(context)
{
    private static readonly TimeSpan VerdictLimit = TimeSpan.FromSeconds(60);

    private string? _damaged;
    private int _logEnd;
    private Rejoin? _rejoin;

    public override bool NeedsMajority => true;

    public override async Task InjectAsync()
    {
        _rejoin = new Rejoin(Cluster, Node);
        await Node.Server.KillAsync();
        _damaged = Damage();
        _logEnd = Node.Server.Log().Length;
        Findings.Event($"damaged: {_damaged ?? "nothing, there is no such file yet"}");
        await Node.StartAsync();
        if (_damaged is not null)
        {
            await RefusedAsync(_damaged);
        }
    }

    public override async Task HealAsync()
    {
        if (_damaged is not null)
        {
            await _rejoin!.RemoveAsync();
            await _rejoin.ComeBackAsync();
        }

        await Node.RunningAsync();
    }

    /// <summary>Damages a file and returns its path; null when there is none to damage.</summary>
    protected abstract string? Damage();

    private async Task RefusedAsync(string path)
    {
        var verdict = await Poll.UntilAsync(
            $"{Node.Name} refuses the damaged {path}, or starts",
            async () => Refusal() ?? (await IsRunningAsync() ? "" : null),
            answer => answer is not null,
            VerdictLimit);
        if (verdict is "")
        {
            Findings.Violation($"{Node.Name} runs although {path} is damaged");
        }
        else if (!verdict!.Contains(Path.GetFileName(path), StringComparison.Ordinal))
        {
            Findings.Violation($"{Node.Name} does not name {path}: {verdict}");
        }
    }

    private async Task<bool> IsRunningAsync()
    {
        return await Node.Server.WorkerStateAsync() == "RUNNING";
    }

    private string? Refusal()
    {
        var match = DamageMessage().Match(Node.Server.Log(), _logEnd);
        return match.Success ? match.Value : null;
    }

    [GeneratedRegex(@"pgraft: .*file "".*"" is damaged at offset \d+.*")]
    private static partial Regex DamageMessage();
}

/// <summary>A bit of the log flips, in a record that later batches follow.</summary>
internal sealed class FlippedLog(FaultContext context) : DamageFault(context)
{
    private const int RecordsAtEnd = 40;

    protected override string? Damage()
    {
        var files = LogFile.AllOf(Node.DataDirectory);
        var fit = files.Where(f => f.Records.Count > RecordsAtEnd).ToArray();
        if (fit.Length == 0)
        {
            return null;
        }

        var file = fit[Random.Next(fit.Length)];
        file.FlipIn(file.Records[Random.Next(file.Records.Count - RecordsAtEnd)], Random);
        return file.Path;
    }
}

/// <summary>A segment of the log is cut off.</summary>
internal sealed class CutLog(FaultContext context) : DamageFault(context)
{
    protected override string Damage()
    {
        var files = LogFile.AllOf(Node.DataDirectory);
        var file = files[Random.Next(files.Count)];
        file.CutTo(Random.Next(file.End));
        return file.Path;
    }
}

/// <summary>A bit of term and vote flips.</summary>
internal sealed class FlippedTerm(FaultContext context) : DamageFault(context)
{
    protected override string Damage()
    {
        var path = Path.Combine(Node.DataDirectory, "term");
        LogFile.Flip(path, Random.Next((int)new FileInfo(path).Length), Random);
        return path;
    }
}

/// <summary>A bit of the only snapshot flips.</summary>
internal sealed class FlippedSnapshot(FaultContext context) : DamageFault(context)
{
    protected override string? Damage()
    {
        var paths = Directory.GetFiles(Node.DataDirectory, "snapshot-*.snap");
        if (paths.Length != 1)
        {
            return null;
        }

        LogFile.Flip(paths[0], Random.Next((int)new FileInfo(paths[0]).Length), Random);
        return paths[0];
    }
}

/// <summary>The log ends with a batch of which only the first sector was written.</summary>
internal sealed class TornLog(FaultContext context) : NodeFault(context)
{
    public override async Task InjectAsync()
    {
        await Node.Server.KillAsync();
        var torn = LogFile.AllOf(Node.DataDirectory)[^1].TryTear();
        Findings.Event(torn ? "torn" : "not torn: no room in the last file");
    }

    public override async Task HealAsync()
    {
        await Node.StartAsync();
        await Node.RunningAsync();
    }
}
