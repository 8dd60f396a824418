// Lets continuations of socket operations run on the thread that noticed their completion, instead
// of handing each to the pool: halves the processor time of an idle leader, most of which is waking
// threads. Whatever may block after a read must therefore yield first; PeerListener and
// RequestConnection do.
// Threading: called once, before the first socket. Failure: none; without it everything works the
// same, at twice the idle cost.
namespace PgRaft.Native;

internal static class InlineCompletions
{
    private const string Variable = "DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS";

    /// <summary>Switches it on in this process, unless the environment decides otherwise.</summary>
    public static void Enable()
    {
        if (Environment.GetEnvironmentVariable(Variable) is null)
            Environment.SetEnvironmentVariable(Variable, "1");
    }
}
