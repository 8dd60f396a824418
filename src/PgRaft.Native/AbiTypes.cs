// The C# mirror of shim/pgraft_abi.h, field by field and in its order; tests compare the layout
// with what the C compiler makes of the header. Names follow C#, not the header.
// Threading: plain memory; who may touch it when is in the header. Failure: none.
using System.Runtime.InteropServices;

namespace PgRaft.Native;

internal static class Abi
{
    public const uint Version = 3;
    public const int ErrorTextBytes = 512;
    public const int LogTextBytes = 1024;
    public const int LogCategoryBytes = 64;
}

internal enum AbiLogLevel
{
    Debug = 0,
    Info = 1,
    Warning = 2,
    Error = 3,
}

[StructLayout(LayoutKind.Sequential)]
internal struct PgraftHandshake
{
    public uint AbiVersion;
    public uint ConfigBytes;
    public uint StatusBytes;
    public uint LogRecordBytes;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PgraftFinding
{
    public byte* Subject;
    public byte* Severity;
    public byte* Text;
    public byte* Advice;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PgraftConfig
{
    public uint AbiVersion;
    public uint StructBytes;
    public ulong Epoch;
    public int WakeFd;
    public int NodeId;
    public int Port;
    public int ElectionTimeoutMs;
    public int HeartbeatIntervalMs;
    public int SnapshotIntervalEntries;
    public int MaxLogEntries;
    public int BatchSizeEntries;
    public int MaxBatchDelayMs;
    public int CompactionThresholdRevisions;
    public int MaxValueSizeBytes;
    public int Debug;
    public int MetricsEnabled;
    public int MetricsPort;
    public int FindingsCount;
    public long QuorumSinceUs;
    public long LiveMembersSinceUs;
    public long MayActSinceUs;
    public byte* ClusterId;
    public byte* Address;
    public byte* ListenAddress;
    public byte* DataDir;
    public byte* InitialCluster;
    public byte* Version;
    public byte* MetricsAddress;
    public PgraftFinding* Findings;
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PgraftStatus
{
    public ulong Sequence;
    public ulong Epoch;
    public long LeaseDeadlineNs;
    public long LeaderDeadlineNs;
    public long NoQuorumDeadlineNs;
    public long Term;
    public long CommitIndex;
    public long KnownCommitIndex;
    public long AppliedIndex;
    public long LastIndex;
    public long FirstIndex;
    public long SnapshotIndex;
    public long SnapshotTerm;
    public long LogBytes;
    public long MessagesProcessed;
    public long HeartbeatsSent;
    public long ElectionsTriggered;
    public long RequestsProcessed;
    public long LogRecordsDropped;
    public long WrittenNs;
    public long WallOffsetNs;
    public long QuorumSinceUs;
    public long LiveMembersSinceUs;
    public long MayActSinceUs;
    public int State;
    public int Role;
    public int NodeId;
    public int LeaderId;
    public int Members;
    public int LiveMembers;
    public int RequestsPending;
    public int QueueFull;
    public int ErrorStatus;
    public fixed byte Error[Abi.ErrorTextBytes];
}

[StructLayout(LayoutKind.Sequential)]
internal unsafe struct PgraftLogRecord
{
    public int Level;
    public int EventId;
    public fixed byte Category[Abi.LogCategoryBytes];
    public fixed byte Text[Abi.LogTextBytes];
}
