// The exports of shim/pgraft_abi.h. Each returns a status and lets no exception out.
// Threading: the worker's main thread. Failure: a status; a missing pointer is BadArgument.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

using PgRaft.Core;

namespace PgRaft.Native;

internal static unsafe class Exports
{
    [UnmanagedCallersOnly(
        EntryPoint = "pgraft_core_handshake", CallConvs = [typeof(CallConvCdecl)])]
    public static int Handshake(PgraftHandshake* answer)
    {
        if (answer is null)
            return (int)StatusCode.BadArgument;
        answer->AbiVersion = Abi.Version;
        answer->ConfigBytes = (uint)sizeof(PgraftConfig);
        answer->StatusBytes = (uint)sizeof(PgraftStatus);
        answer->LogRecordBytes = (uint)sizeof(PgraftLogRecord);
        return (int)StatusCode.Ok;
    }

    [UnmanagedCallersOnly(EntryPoint = "pgraft_core_start", CallConvs = [typeof(CallConvCdecl)])]
    public static int Start(PgraftConfig* config, PgraftStatus* status)
    {
        if (config is null || status is null)
            return (int)StatusCode.BadArgument;
        try
        {
            CoreInstance.Start(config, status);
            return (int)StatusCode.Ok;
        }
        catch (Exception e)
        {
            return StatusOf(e);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "pgraft_core_reload", CallConvs = [typeof(CallConvCdecl)])]
    public static int Reload(PgraftConfig* config)
    {
        if (config is null)
            return (int)StatusCode.BadArgument;
        try
        {
            if (CoreInstance.Current is not { } core)
                return (int)StatusCode.WrongState;
            core.Reload(config);
            return (int)StatusCode.Ok;
        }
        catch (Exception e)
        {
            return StatusOf(e);
        }
    }

    [UnmanagedCallersOnly(
        EntryPoint = "pgraft_core_request_stop", CallConvs = [typeof(CallConvCdecl)])]
    public static int RequestStop()
    {
        try
        {
            if (CoreInstance.Current is not { } core)
                return (int)StatusCode.WrongState;
            core.RequestStop();
            return (int)StatusCode.Ok;
        }
        catch (Exception e)
        {
            return StatusOf(e);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "pgraft_core_next_log", CallConvs = [typeof(CallConvCdecl)])]
    public static int NextLog(PgraftLogRecord* record)
    {
        if (record is null)
            return (int)StatusCode.BadArgument;
        try
        {
            return CoreInstance.Current is { } core && core.TryTakeLog(record)
                ? (int)StatusCode.Ok
                : (int)StatusCode.Empty;
        }
        catch (Exception e)
        {
            return StatusOf(e);
        }
    }

    private static int StatusOf(Exception exception) =>
        (int)(exception is PgraftException e ? e.Code : StatusCode.Internal);
}
