// Runs work that takes a while on the processor on a thread of its own, one at a time, so that the
// thread pool, on which heartbeats depend, stays free. Threading: any caller.
// Failure: the work's exception comes back to its caller; a cancelled wait never starts it.
using PgRaft.Consensus;

namespace PgRaft.Server.Requests;

internal sealed class HeavyWork : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);

    public async Task<T> RunAsync<T>(Func<T> work, CancellationToken token)
    {
        await _turn.WaitAsync(token).ConfigureAwait(false);
        try
        {
            return await OwnThread.RunAsync(work, token).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    public void Dispose() => _turn.Dispose();
}
