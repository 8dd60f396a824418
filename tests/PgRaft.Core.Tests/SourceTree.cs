// Finds files of the source tree from wherever the tests run.
// Threading: pure. Failure: a FileNotFoundException that names what was looked for.
namespace PgRaft.Core.Tests;

internal static class SourceTree
{
    public static string Path(string relative)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory);
            folder is not null;
            folder = folder.Parent)
        {
            string path = System.IO.Path.Combine(folder.FullName, relative);
            if (System.IO.Path.Exists(path))
                return path;
        }

        throw new FileNotFoundException($"{relative} is not above {AppContext.BaseDirectory}");
    }
}
