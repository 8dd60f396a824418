// Lies told to one server about its clocks and its disk, through a library that is preloaded into
// its processes (Preload/faults.c). The machine's own clock is not touched.
//
// Threading: one test; the control file is mapped by the server's processes, which see a change at
// once. Failure: a library that does not compile throws; one that cannot do its work ends the
// server's start.

using System.Buffers.Binary;
using System.Globalization;

namespace PgRaft.Harness;

internal sealed class Preload
{
    public const int TrueRate = 1000;

    private const int ControlBytes = 32;
    private const int InputOutputError = 5;

    private static readonly Lazy<Task<string>> Library = new(CompileAsync);

    private readonly string _control;

    private Preload(string control, string binDirectory)
    {
        _control = control;
        BinDirectory = binDirectory;
    }

    /// <summary>For a server's <see cref="TestServer.BinDirectory"/>: starts it with the library.
    /// </summary>
    public string BinDirectory { get; }

    /// <summary>Prepares the faults of one server, none of them in force.</summary>
    /// <param name="clockPermille">Rate of its CLOCK_MONOTONIC; 1000 is true.</param>
    public static async Task<Preload> CreateAsync(int clockPermille = TrueRate)
    {
        var library = await Library.Value;
        var directory = await TestRun.NewDirectoryAsync("faults");
        var control = Path.Combine(directory, "control");
        await File.WriteAllBytesAsync(control, new byte[ControlBytes]);
        var script = Path.Combine(directory, "pg_ctl");
        var program = Path.Combine(TestRun.BinDirectory, "pg_ctl");
        await File.WriteAllTextAsync(script, string.Create(
            CultureInfo.InvariantCulture,
            $"""
            #!/bin/sh
            export PGRAFT_FAULTS='{control}'
            export PGRAFT_CLOCK_PERMILLE={clockPermille} PGRAFT_CLOCK_ORIGIN={NowNs()}
            LD_PRELOAD='{library}' exec '{program}' "$@"

            """));
        File.SetUnixFileMode(
            script,
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
                | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        return new Preload(control, directory);
    }

    /// <summary>The same, or null where the library cannot be compiled.</summary>
    public static async Task<Preload?> TryCreateAsync()
    {
        try
        {
            return await CreateAsync();
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    /// <summary>Moves the server's wall clock to so far from the true time.</summary>
    public void SetWallClock(TimeSpan offset)
    {
        Write(0, offset.Ticks * TimeSpan.NanosecondsPerTick);
    }

    /// <summary>Makes every fsync and fdatasync of the server fail, or work again.</summary>
    public void FailSyncs(bool fail)
    {
        Write(sizeof(long), fail ? InputOutputError : 0);
    }

    /// <summary>Makes every fsync and fdatasync of the server wait from now on, as those of a disk
    /// that hangs, or lets them go on.</summary>
    public void HangSyncs(bool hang)
    {
        Write(2 * sizeof(long), hang ? 1 : 0);
    }

    /// <summary>Makes every fsync and fdatasync of the server take so much longer.</summary>
    public void SlowSyncs(TimeSpan delay)
    {
        Write(3 * sizeof(long), delay.Ticks * TimeSpan.NanosecondsPerTick);
    }

    /// <summary>Whether a process has the library.</summary>
    public static async Task<bool> IsInAsync(int pid)
    {
        var maps = await File.ReadAllTextAsync($"/proc/{pid}/maps");
        return maps.Contains(await Library.Value, StringComparison.Ordinal);
    }

    private static long NowNs()
    {
        return Environment.TickCount64 * TimeSpan.NanosecondsPerTick * TimeSpan.TicksPerMillisecond;
    }

    // Written in place: the server's mapping is of this file, not of its name.
    private void Write(int offset, long value)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        using var file = File.OpenHandle(_control, FileMode.Open, FileAccess.Write);
        RandomAccess.Write(file, bytes, offset);
    }

    private static async Task<string> CompileAsync()
    {
        var library = Path.Combine(await TestRun.NewDirectoryAsync("preload"), "faults.so");
        var source = Path.Combine(
            TestRun.Top, "tests", "PgRaft.Harness", "Preload", "faults.c");
        await Command.RunAsync(
            "gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl");
        return library;
    }
}
