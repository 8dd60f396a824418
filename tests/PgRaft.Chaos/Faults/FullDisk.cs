// The file system of a member's data_dir runs full. Log files have their room beforehand, so large
// entries are appended until the member notices.
//
// Threading and failure: as the base class.

using System.Text.RegularExpressions;
using Npgsql;
using PgRaft.Chaos.Nodes;

namespace PgRaft.Chaos.Faults;

internal sealed partial class FullDisk(FaultContext context) : NodeFault(context)
{
    // More than two log files of 16 MiB.
    private const int MostEntries = 48;
    private const string Append = "SELECT pgraft_replicate_entry(repeat('y', 1000000))";

    private int _logEnd;

    public override async Task InjectAsync()
    {
        _logEnd = Node.Server.Log().Length;
        Node.Disk!.Fill();
        for (var i = 0; i < MostEntries && !Noticed(); i++)
        {
            await AppendAsync(Cluster.Nodes[i % Cluster.Nodes.Count]);
        }

        Findings.Event(Noticed() ? "the disk is full" : "the disk is full, and nobody noticed");
    }

    // A worker that has ended for want of room is started again within a minute; a reload, as the
    // manual says, has it try at once.
    public override async Task HealAsync()
    {
        Node.Disk!.Free();
        await Node.Server.ReloadAsync();
        await Node.RunningAsync();
    }

    protected override bool Fits(ChaosNode node)
    {
        return node.Disk is not null;
    }

    private bool Noticed()
    {
        return NoRoom().IsMatch(Node.Server.Log(), _logEnd);
    }

    private static async Task AppendAsync(ChaosNode node)
    {
        if (node.Claimed)
        {
            return;
        }

        try
        {
            await node.Server.ExecuteAsync(Append);
        }
        catch (Exception e) when (e is NpgsqlException or IOException or TimeoutException)
        {
            // The cluster may be without a majority, or without this member.
        }
    }

    [GeneratedRegex("No space left|[Dd]isk ?[Ff]ull|no room")]
    private static partial Regex NoRoom();
}
