// What goes into the image's build context, by the one .dockerignore that Docker and
// Testcontainers both read: the one at the top of the tree. Needs no Docker.

using DotNet.Testcontainers.Images;
using Microsoft.Extensions.Logging.Abstractions;

namespace PgRaft.Cluster.Tests.Containers;

public sealed class BuildContextTests
{
    private static readonly IgnoreFile Ignored = new(
        File.ReadLines(Path.Combine(TestRun.Top, ".dockerignore")), NullLogger.Instance);

    [Theory]
    [InlineData(".git/HEAD")]
    [InlineData("artifacts/core/pgraft_core.so")]
    [InlineData("artifacts/stage/usr/lib/postgresql/15/bin/postgres")]
    [InlineData("src/PgRaft.Native/obj/project.assets.json")]
    [InlineData("src/PgRaft.Native/bin/Release/net10.0/pgraft_core.dll")]
    [InlineData("tests/PgRaft.Core.Tests/obj/project.assets.json")]
    [InlineData("shim/worker.o")]
    public void History_and_what_was_built_stay_outside(string path)
    {
        Assert.True(Ignored.Denies(path), path);
    }

    [Theory]
    [InlineData("Makefile")]
    [InlineData("global.json")]
    [InlineData("pgraft--1.0.sql")]
    [InlineData("build/Packages.props")]
    [InlineData("docker/entrypoint.sh")]
    [InlineData("shim/worker.c")]
    [InlineData("src/PgRaft.Native/PgRaft.Native.csproj")]
    public void What_the_image_is_built_from_is_inside(string path)
    {
        Assert.True(Ignored.Accepts(path), path);
    }
}
