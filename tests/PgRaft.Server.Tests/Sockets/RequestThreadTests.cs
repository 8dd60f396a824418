// Which thread runs a request: a quick one the thread that read it, as waking another would take
// longer than the request; one that may block, never.
// Threading: one test. Failure: assertions.
using System.Runtime.CompilerServices;

using PgRaft.Server.Protocol;
using PgRaft.Server.Tests.Fakes;

using Xunit;

namespace PgRaft.Server.Tests.Sockets;

public class RequestThreadTests
{
    // What the class library calls the threads that wait for sockets.
    private const string SocketThread = ".NET Sockets";

    // As the core does before its first socket (PgRaft.Native, InlineCompletions).
#pragma warning disable CA2255 // this assembly is a program
    [ModuleInitializer]
    internal static void CompleteInline() =>
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
#pragma warning restore CA2255

    [Fact]
    public async Task A_quick_request_runs_where_it_was_read()
    {
        await using var host = await TestHost.StartAsync();
        var threads = new List<string?>();
        var propose = host.Node.OnPropose;
        host.Node.OnPropose = (command, term, token) =>
        {
            threads.Add(Thread.CurrentThread.Name);
            return propose(command, term, token);
        };
        using var client = host.Connect();

        // One that is there before it is waited for runs on the thread that answered the last.
        for (int i = 0; i < 200; i++)
            await client.CallAsync(RequestCode.KvPut, "k", "v", 0L);
        Assert.Contains(SocketThread, threads);
    }

    [Fact]
    public async Task A_request_that_may_block_runs_elsewhere()
    {
        await using var host = await TestHost.StartAsync();
        var threads = new List<string?>();
        host.Node.OnAdd = (_, _) =>
        {
            threads.Add(Thread.CurrentThread.Name);
            return Task.CompletedTask;
        };
        using var client = host.Connect();
        for (int i = 0; i < 200; i++)
            await client.CallAsync(RequestCode.AddNode, 2, "127.0.0.1", 7002);
        Assert.Equal(200, threads.Count);
        Assert.DoesNotContain(SocketThread, threads);
    }
}
