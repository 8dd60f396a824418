// The hash tells apart what must be told apart and nothing else.
using PgRaft.Core.Commands;
using PgRaft.Core.Requests;
using PgRaft.Core.Snapshots;

using Xunit;

namespace PgRaft.Core.Tests;

public class StateHashTests
{
    [Fact]
    public void Does_not_cover_the_applied_index()
    {
        var a = Sample();
        var b = Sample();
        b.Next(CommandEncoder.Opaque("x"u8));
        b.Skip(b.AppliedIndex + 1, 4);
        Assert.Equal(a.Hash(), b.Hash());
    }

    [Fact]
    public void Covers_everything_replicated()
    {
        var hashes = new HashSet<string> { Sample().Hash(), new StateMachine().Hash() };
        Action<StateMachine>[] changes =
        [
            m => m.Put("a", "1"),
            m => m.Put("a", "2"),
            m => m.Put("b", "1"),
            m => m.Delete("a"),
            m => m.Compact(1),
            m => m.Compact(2),
            m => m.Next(CommandEncoder.Opaque("x"u8, 0, new RequestId(1, 0, 1, 0))),
            m => m.Next(CommandEncoder.Opaque("x"u8, 0, new RequestId(2, 0, 1, 0))),
            m => m.Next(CommandEncoder.Opaque("x"u8, 0, new RequestId(1, 1, 1, 0))),
            m => m.Next(CommandEncoder.Opaque("x"u8, 0, new RequestId(1, 0, 2, 0))),
        ];
        foreach (var change in changes)
        {
            var machine = Sample();
            change(machine);
            Assert.True(hashes.Add(machine.Hash()));
        }
    }

    [Fact]
    public void Is_shown_as_32_hexadecimal_digits()
    {
        var image = Sample().Capture();
        string hex = StateHash.ComputeHex(image, CancellationToken.None);
        Assert.Matches("^[0-9a-f]{32}$", hex);
        Assert.Equal(
            StateHash.Compute(image, CancellationToken.None),
            UInt128.Parse(hex, System.Globalization.NumberStyles.HexNumber, null));
    }

    private static StateMachine Sample()
    {
        var machine = new StateMachine();
        machine.Put("a", "0");
        machine.Put("k", "v");
        return machine;
    }
}
