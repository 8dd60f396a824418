using System.IO.Pipes;
using System.Runtime.InteropServices;

using PgRaft.Consensus;
using PgRaft.Core;
using PgRaft.Native;
using PgRaft.Server.Hosting;

using Xunit;

namespace PgRaft.Abi.Tests;

public sealed unsafe class SharedStatusTests : IDisposable
{
    private readonly AnonymousPipeServerStream _wakes = new(PipeDirection.In);
    private readonly PgraftStatus* _memory =
        (PgraftStatus*)NativeMemory.AlignedAlloc((nuint)sizeof(PgraftStatus), 64);

    public SharedStatusTests() => NativeMemory.Clear(_memory, (nuint)sizeof(PgraftStatus));

    public void Dispose()
    {
        _wakes.Dispose();
        NativeMemory.AlignedFree(_memory);
    }

    [Fact]
    public void Everything_is_published_in_its_place()
    {
        var status = Create();
        status.Publish(Status(WorkerState.Running, 7));
        Assert.Equal(2UL, _memory->Sequence);
        Assert.Equal(99UL, _memory->Epoch);
        Assert.Equal(
            (7L, 7L, 7L, 7L, 7L, 7L),
            (_memory->Term, _memory->CommitIndex, _memory->LastIndex, _memory->LeaseDeadlineNs,
                _memory->LogBytes, _memory->RequestsProcessed));
        Assert.Equal(
            (3, 4, 5, 1),
            (_memory->State, _memory->Role, _memory->NodeId, _memory->QueueFull));
        Assert.Equal(11L, _memory->LogRecordsDropped);
        Assert.Equal(
            (8L, 9L, 2),
            (_memory->NoQuorumDeadlineNs, _memory->KnownCommitIndex, _memory->LiveMembers));
        Assert.Equal(
            (21L, 22L, 23L, 24L, 25L),
            (_memory->WrittenNs, _memory->WallOffsetNs, _memory->QuorumSinceUs,
                _memory->LiveMembersSinceUs, _memory->MayActSinceUs));
    }

    [Fact]
    public void Live_members_that_are_not_known_are_minus_one()
    {
        var status = Status(WorkerState.Running, 7);
        Create().Publish(status with { Node = status.Node with { LiveMembers = null } });
        Assert.Equal(-1, _memory->LiveMembers);
    }

    [Fact]
    public void A_failure_s_text_is_cut_at_a_character_and_ends_with_NUL()
    {
        var status = Create();
        status.PublishError(new PgraftException(StatusCode.DiskFull, "x" + new string('é', 400)));
        var text = new ReadOnlySpan<byte>(_memory->Error, Native.Abi.ErrorTextBytes);
        Assert.Equal(0, text[^1]);
        Assert.Equal("x" + new string('é', 255), CText.Read(_memory->Error));
        Assert.Equal((4, 11), (_memory->State, _memory->ErrorStatus));
    }

    // It may not act from then on; that it knows of no quorum is what it did not know at its start.
    [Fact]
    public void A_failure_before_there_is_a_node_has_its_times()
    {
        long before = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() * 1000;
        Create().PublishError(new PgraftException(StatusCode.DiskFull, "full"));
        long after = (DateTimeOffset.UtcNow.ToUnixTimeMilliseconds() + 1) * 1000;
        Assert.Equal((31L, 32L), (_memory->QuorumSinceUs, _memory->LiveMembersSinceUs));
        Assert.InRange(_memory->MayActSinceUs, before, after);
    }

    [Fact]
    public void A_predecessor_that_died_in_a_write_leaves_no_odd_sequence()
    {
        _memory->Sequence = 41;
        Create().Publish(Status(WorkerState.Starting, 1));
        Assert.Equal(42UL, _memory->Sequence);
    }

    [Fact]
    public void Only_a_change_of_state_wakes_the_main_thread()
    {
        var status = Create();
        status.Publish(Status(WorkerState.Starting, 1));
        status.Publish(Status(WorkerState.Starting, 2));
        status.Publish(Status(WorkerState.Running, 3));
        _wakes.DisposeLocalCopyOfClientHandle();
        var wakes = new byte[64];
        Assert.Equal(16, _wakes.ReadAtLeast(wakes, 64, throwOnEndOfStream: false));
        Assert.Equal([1UL, 1UL], MemoryMarshal.Cast<byte, ulong>(wakes.AsSpan(0, 16)));
    }

    [Fact]
    public void A_reader_that_follows_the_protocol_never_sees_a_torn_picture()
    {
        var status = Create();
        status.Publish(Status(WorkerState.Running, 0));
        using var done = new ManualResetEventSlim();
        var writer = new Thread(() =>
        {
            for (long i = 0; i < 300_000; i++)
                status.Publish(Status(WorkerState.Running, i));
            done.Set();
        });
        writer.Start();
        long pictures = 0;
        while (!done.IsSet || pictures == 0)
        {
            if (TryRead(out var copy))
            {
                pictures++;
                Assert.Equal(copy.Term, copy.RequestsProcessed);
                Assert.Equal(copy.Term, copy.HeartbeatsSent);
            }
        }

        writer.Join();
    }

    private bool TryRead(out PgraftStatus copy)
    {
        ulong before = Volatile.Read(ref _memory->Sequence);
        Interlocked.MemoryBarrier();
        copy = *_memory;
        Interlocked.MemoryBarrier();
        return before % 2 == 0 && before == Volatile.Read(ref _memory->Sequence);
    }

    private SharedStatus Create()
    {
        int descriptor = (int)_wakes.ClientSafePipeHandle.DangerousGetHandle();
        return new SharedStatus(
            _memory, 99, 5, new AnswerTimes(0, 0, 31, 32, 33), new WakeEvent(descriptor),
            () => 11);
    }

    private static HostStatus Status(WorkerState state, long number) => new(
        state,
        new NodeStatus
        {
            Role = NodeRole.Leader,
            Term = number,
            CommitIndex = number,
            NoQuorumDeadlineNs = number + 1,
            KnownCommitIndex = number + 2,
            LiveMembers = 2,
            LastIndex = number,
            LeaseDeadlineNs = number,
            DiskBytes = number,
            HeartbeatsSent = number,
        },
        number,
        0,
        true,
        StatusCode.Ok,
        string.Empty)
    {
        Times = new AnswerTimes(21, 22, 23, 24, 25),
    };
}
