// A real disk whose syncs of files wait while a gate is closed.
// Threading: any; whoever syncs waits. Failure: the disk's.
namespace PgRaft.Consensus.Tests.Storage;

internal sealed class GatedIo : HookedIo, IDisposable
{
    private readonly ManualResetEventSlim _open = new(true);
    private readonly TaskCompletionSource _syncWaits =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends when a sync has come to the closed gate.</summary>
    public Task SyncWaits => _syncWaits.Task;

    public void Open() => _open.Set();

    public void Close() => _open.Reset();

    public void Dispose() => _open.Dispose();

    protected override void Before(IoOperation operation, string path)
    {
        if (operation == IoOperation.Sync && !_open.IsSet)
        {
            _syncWaits.TrySetResult();
            _open.Wait();
        }
    }
}
