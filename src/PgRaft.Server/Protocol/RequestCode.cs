// What a client may ask for. Mirrors PgraftRequestCode in shim/pgraft_abi.h; a test compares the
// two. Values only ever grow. Threading: constants. Failure: none.
namespace PgRaft.Server.Protocol;

internal enum RequestCode
{
    Init = 1,
    AddNode = 2,
    RemoveNode = 3,
    GetNodes = 4,
    Test = 5,
    SetDebug = 6,
    TransferLeadership = 7,
    UpdateNode = 8,
    Health = 9,
    LogAppend = 10,
    LogWaitCommit = 11,
    LogWaitApply = 12,
    LogGetEntry = 13,
    LogGetStats = 14,
    LogGetReplication = 15,
    LogSync = 16,
    EndpointStatus = 17,
    History = 18,
    KvPut = 20,
    KvGet = 21,
    KvDelete = 22,
    KvExists = 23,
    KvListKeys = 24,
    KvGetStats = 25,
    KvCas = 26,
    Snapshot = 30,
    Backup = 31,
    RecoverCluster = 32,
    Findings = 33,
    Restore = 34,
    BackupInfo = 35,
}

internal static class RequestCodes
{
    /// <summary>Whether a request may change replicated state, or leave a file, so that an answer
    /// that never came leaves its outcome unknown.</summary>
    public static bool IsWrite(RequestCode code) => code is
        RequestCode.Init or RequestCode.AddNode or RequestCode.RemoveNode or
        RequestCode.TransferLeadership or RequestCode.UpdateNode or
        RequestCode.LogAppend or RequestCode.KvPut or RequestCode.KvDelete or
        RequestCode.KvCas or RequestCode.Backup or RequestCode.RecoverCluster or
        RequestCode.Restore;

    /// <summary>Whether a request does no more than a little work in memory before it first waits,
    /// so that it may run on the thread that read it.</summary>
    public static bool IsQuick(RequestCode code) => code is
        RequestCode.LogAppend or RequestCode.KvPut or RequestCode.KvGet or RequestCode.KvDelete or
        RequestCode.KvExists or RequestCode.KvCas;

    /// <summary>Whether another member may pass the request on to its leader.</summary>
    public static bool IsForwardable(RequestCode code) => code is
        RequestCode.RemoveNode or RequestCode.LogAppend or RequestCode.KvPut or
        RequestCode.KvDelete or RequestCode.KvCas;
}
