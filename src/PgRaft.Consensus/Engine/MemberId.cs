// Node ids inside the engine's member ids.
// Threading: none needed. Failure: none.
using System.Buffers.Binary;
using DotNext.Net.Cluster;

namespace PgRaft.Consensus.Engine;

/// <summary>Converts between node ids and the engine's opaque ids.</summary>
internal static class MemberId
{
    /// <summary>The engine's id of a node.</summary>
    public static ClusterMemberId FromNodeId(int nodeId)
    {
        Span<byte> bytes = stackalloc byte[ClusterMemberId.Size];
        bytes.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(bytes, nodeId);
        return new ClusterMemberId(bytes);
    }

    /// <summary>The node id inside an engine's id.</summary>
    public static int ToNodeId(in ClusterMemberId id)
    {
        Span<byte> bytes = stackalloc byte[ClusterMemberId.Size];
        id.Format(bytes);
        return BinaryPrimitives.ReadInt32LittleEndian(bytes);
    }
}
