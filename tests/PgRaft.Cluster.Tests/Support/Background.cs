// A program that runs beside a test until it is disposed of.
//
// Threading: one test. Failure: its output is in Output; it is ended by its own process id.

using System.Diagnostics;
using System.Text;

namespace PgRaft.Cluster.Tests.Support;

internal sealed class Background : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private Background(Process process)
    {
        _process = process;
        process.OutputDataReceived += (_, line) => Add(line.Data);
        process.ErrorDataReceived += (_, line) => Add(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>Starts a program of Debian's, or the one that build/setup.sh has unpacked.
    /// </summary>
    public static Background Start(string program, params string[] arguments)
    {
        var file = InstalledTool.Find(program);
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (file != program)
        {
            // Debian's name of the machine is one directory below.
            start.Environment["LD_LIBRARY_PATH"] = string.Join(
                ':', Directory.GetDirectories(Path.Combine(InstalledTool.Unpacked, "usr/lib")));
        }

        return new Background(Process.Start(start)!);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    private void Add(string? line)
    {
        lock (_output)
        {
            _output.AppendLine(line);
        }
    }
}
