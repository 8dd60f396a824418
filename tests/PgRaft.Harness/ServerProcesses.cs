// What the operating system knows of a server: its processes, and ending them the hard way.
//
// Threading: no state. Processes come and go while they are listed; one that is gone is left out.

using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace PgRaft.Harness;

internal static class ServerProcesses
{
    private const int StateField = 0;
    private const int ParentField = 1;
    private const int UserTicksField = 11;
    private const int SystemTicksField = 12;
    private const double TicksPerSecond = 100;
    private const int SignalStop = 19;

    /// <summary>
    /// Whether there is such a process. One that has ended but has not been waited for counts: a
    /// server started now would take it for a running postmaster.
    /// </summary>
    public static bool Exists(int pid)
    {
        return Statistics(pid) is not null;
    }

    public static IReadOnlyList<int> ChildrenOf(int postmaster)
    {
        var parent = postmaster.ToString(CultureInfo.InvariantCulture);
        return [.. Directory.EnumerateDirectories("/proc")
            .Select(path => int.TryParse(Path.GetFileName(path), out var pid) ? pid : 0)
            .Where(pid => pid > 0 && Statistics(pid)?[ParentField] == parent)];
    }

    /// <summary>The pid of pgraft's background worker, or 0 when there is none.</summary>
    public static int WorkerOf(int postmaster)
    {
        return ChildrenOf(postmaster).FirstOrDefault(IsWorker);
    }

    private static bool IsWorker(int pid)
    {
        var title = ReadOrNull($"/proc/{pid}/cmdline") ?? "";
        return title.Contains("pgraft", StringComparison.Ordinal);
    }

    public static long ResidentBytes(int pid) => MemoryBytes(pid, "VmRSS:");

    public static long AddressSpaceBytes(int pid) => MemoryBytes(pid, "VmSize:");

    private static long MemoryBytes(int pid, string field)
    {
        var line = File.ReadLines($"/proc/{pid}/status")
            .First(l => l.StartsWith(field, StringComparison.Ordinal));
        var kilobytes = line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1];
        return long.Parse(kilobytes, CultureInfo.InvariantCulture) * 1024;
    }

    /// <summary>Processor time used by a process so far, in seconds.</summary>
    public static double ProcessorSeconds(int pid)
    {
        var fields = Statistics(pid)
            ?? throw new InvalidOperationException($"Process {pid} is gone.");
        var user = double.Parse(fields[UserTicksField], CultureInfo.InvariantCulture);
        var system = double.Parse(fields[SystemTicksField], CultureInfo.InvariantCulture);
        return (user + system) / TicksPerSecond;
    }

    /// <summary>
    /// Sends SIGKILL to a server's postmaster and all of its children at once, and returns them.
    /// The postmaster is stopped first: a child that it makes while the others are listed would
    /// survive, wait for locks of the dead, and keep the server from starting again.
    /// </summary>
    public static IReadOnlyList<int> KillAll(int postmaster)
    {
        _ = SendSignal(postmaster, SignalStop);
        SpinWait.SpinUntil(() => Statistics(postmaster)?[StateField] is null or "T" or "Z");
        int[] children = [.. ChildrenOf(postmaster)];

        // At once, as by a loss of power: a backend that outlived the worker would still answer.
        foreach (var pid in children)
        {
            _ = SendSignal(pid, SignalStop);
        }

        int[] all = [postmaster, .. children];
        foreach (var pid in all)
        {
            Kill(pid);
        }

        return all;
    }

    public static void Kill(int pid)
    {
        try
        {
            using var process = Process.GetProcessById(pid);
            process.Kill();
        }
        catch (Exception e)
            when (e is ArgumentException or InvalidOperationException or Win32Exception)
        {
            // Already gone, which is what was wanted.
        }
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int pid, int signal);

    // The fields of /proc/PID/stat after the process's name, beginning with its state.
    private static string[]? Statistics(int pid)
    {
        var text = ReadOrNull($"/proc/{pid}/stat");
        return text?[(text.LastIndexOf(')') + 2)..].Split(' ');
    }

    private static string? ReadOrNull(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
