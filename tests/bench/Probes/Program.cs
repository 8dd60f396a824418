// Measures what run.sh compares pgraft with: the disk, the network, etcd. Each command writes what
// single operations took to a file, one number of microseconds a line, in the order they came; the
// first tenth, during which code is compiled and caches fill, is left out.
//
//   log DIRECTORY ROUNDS RAW_FILE LOG_FILE    a batch in our log beside one raw append of its bytes
//   sync DIRECTORY ROUNDS FILE                one record appended and synced
//   echo ROUNDS FILE                          a round trip over loopback
//   scrape PORT SECONDS FILE                  /metrics once a second, after a line "ready"
//   etcd PORT,PORT,... CLIENTS SECONDS FILE   puts by concurrent clients, through the leader
//
// Failure: exit code 1 and a line that says why.
using System.Globalization;

namespace PgRaft.Probes;

internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        try
        {
            return await RunAsync(arguments).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or HttpRequestException or InvalidDataException
            or PgRaft.Core.PgraftException or FormatException)
        {
            await Console.Error.WriteLineAsync($"probe: {e.Message}").ConfigureAwait(false);
            return 1;
        }
    }

    private static async Task<int> RunAsync(string[] arguments)
    {
        switch (arguments)
        {
            case ["log", var directory, var rounds, var rawFile, var logFile]:
                LogProbe.Run(directory, Number(rounds), rawFile, logFile);
                return 0;
            case ["sync", var directory, var rounds, var file]:
                SyncProbe.Run(directory, Number(rounds), file);
                return 0;
            case ["echo", var rounds, var file]:
                EchoProbe.Run(Number(rounds), file);
                return 0;
            case ["scrape", var port, var seconds, var file]:
                await ScrapeProbe.RunAsync(Number(port), Number(seconds), file)
                    .ConfigureAwait(false);
                return 0;
            case ["etcd", var ports, var clients, var seconds, var file]:
                await EtcdLoad.RunAsync(
                    [.. ports.Split(',').Select(Number)], Number(clients), Number(seconds), file)
                    .ConfigureAwait(false);
                return 0;
            default:
                await Console.Error.WriteLineAsync(
                    "probe: log, sync, echo, scrape or etcd; see Program.cs")
                    .ConfigureAwait(false);
                return 1;
        }
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
