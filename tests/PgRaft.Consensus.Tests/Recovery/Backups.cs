// What tests of backups share: a small state, where to put its backup, and how to look at one.
using System.Text;
using PgRaft.Consensus.Recovery;
using PgRaft.Consensus.Storage;
using PgRaft.Core;
using PgRaft.Core.Commands;
using Xunit;

namespace PgRaft.Consensus.Tests.Recovery;

internal static class Backups
{
    public const string Path = "/backups/one.backup";

    public static StateMachine State(int keys, int valueBytes = 20)
    {
        var state = new StateMachine();
        for (int i = 1; i <= keys; i++)
        {
            state.Apply(i, 2, CommandEncoder.KvPut(
                Encoding.UTF8.GetBytes($"key {i}"), new byte[valueBytes]));
        }

        return state;
    }

    public static BackupInfo About(string clusterId = "test") => new()
    {
        ClusterId = clusterId,
        NodeId = 3,
        Version = "1.0",
        CurrentTerm = 7,
        TakenAt = DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_123),
        Index = 0,
        Term = 0,
        Revision = 0,
        StateHash = string.Empty,
    };

    public static BackupInfo Write(
        IStorageIo io, StateMachine state, string path = Path, string clusterId = "test") =>
        BackupWriter.Write(
            io, path, state.Capture(), About(clusterId), TestContext.Current.CancellationToken);

    /// <summary>Reads all of it, as a restore does.</summary>
    public static BackupInfo Verify(IStorageIo io, string path = Path)
    {
        using var file = BackupFile.Open(io, path);
        file.VerifyChecksum(TestContext.Current.CancellationToken);
        file.VerifyState(TestContext.Current.CancellationToken);
        return file.Info;
    }
}
