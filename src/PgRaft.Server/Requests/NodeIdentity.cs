// Who this node is, as requests show it. Threading: immutable. Failure: none.
namespace PgRaft.Server.Requests;

internal sealed record NodeIdentity(int NodeId, string Version);
