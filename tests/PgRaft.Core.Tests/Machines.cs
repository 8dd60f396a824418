// Drives state machines in the tests: feeds entries at the next index and reads text back.
// Threading: as StateMachine. Failure: that of the machine.
using System.Text;

using PgRaft.Core.Commands;
using PgRaft.Core.Kv;
using PgRaft.Core.Snapshots;

namespace PgRaft.Core.Tests;

internal static class Machines
{
    public static ApplyResult Next(this StateMachine machine, byte[] command) =>
        machine.Apply(machine.AppliedIndex + 1, 1, command);

    public static ApplyResult Put(this StateMachine machine, string key, string value) =>
        machine.Next(CommandEncoder.KvPut(Bytes(key), Bytes(value)));

    public static ApplyResult Delete(this StateMachine machine, string key) =>
        machine.Next(CommandEncoder.KvDelete(Bytes(key)));

    public static ApplyResult Compact(this StateMachine machine, long revision) =>
        machine.Next(CommandEncoder.KvCompact(revision));

    public static string? Get(this KvView view, string key, long atRevision = 0) =>
        view.TryGet(Bytes(key), atRevision, out var entry) ? Text(entry.Value) : null;

    public static string Keys(this KvView view, string prefix = "", long atRevision = 0) =>
        string.Join(' ', view.List(Bytes(prefix), atRevision).Select(e => Text(e.Key)));

    public static int Versions(this KvView view, string key)
    {
        int count = 0;
        view.Map.TryGet(Bytes(key), out _, out var newest);
        for (var version = newest; version is not null; version = version.Previous)
            count++;
        return count;
    }

    public static byte[] Snapshot(this StateMachine machine)
    {
        using var stream = new MemoryStream();
        SnapshotWriter.Write(stream, machine.Capture(), CancellationToken.None);
        return stream.ToArray();
    }

    public static StateMachine Restored(byte[] snapshot)
    {
        var machine = new StateMachine();
        machine.Restore(SnapshotReader.Read(new MemoryStream(snapshot), CancellationToken.None));
        return machine;
    }

    public static string Hash(this StateMachine machine) =>
        StateHash.ComputeHex(machine.Capture(), CancellationToken.None);

    public static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    public static string Text(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);
}
