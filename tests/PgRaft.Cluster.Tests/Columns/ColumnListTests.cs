// Every column of every view, every column of every function that returns a row, and every status
// function has a test that compares its value with what was really done: one that says so with
// ValuesOf. A function that a view shows is the view's. The keys of pgraft_health_check() are its
// columns.

using System.Reflection;
using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests.Columns;

public sealed class ColumnListTests : ServerTest
{
    private const string Shown = """
        WITH ours AS (
            SELECT p.* FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid
                JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
            WHERE e.extname = 'pgraft' AND d.deptype = 'e'),
        in_views AS (
            SELECT d.refobjid FROM pg_depend d JOIN pg_rewrite r ON d.objid = r.oid
            WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_proc'::regclass)
        SELECT format('pgraft.%s.%s', c.relname, a.attname)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relkind = 'v' AND c.relnamespace = 'pgraft'::regnamespace AND a.attnum > 0
        UNION ALL
        SELECT format('%s.%s', f.oid::regproc, a.name)
        FROM ours f, unnest(f.proargnames, f.proargmodes) a(name, mode)
        WHERE a.mode IN ('o', 't') AND f.oid NOT IN (SELECT refobjid FROM in_views)
        UNION ALL
        SELECT f.oid::regproc::text FROM ours f
        WHERE f.proargmodes IS NULL AND has_function_privilege('pgraft_monitor', f.oid, 'EXECUTE')
            AND f.proname <> 'pgraft_health_check'
        UNION ALL
        SELECT format('pgraft_health_check.%s', key)
        FROM json_object_keys(pgraft_health_check()) key
        """;

    [Fact]
    public async Task Every_column_is_compared_with_what_was_done_by_a_test()
    {
        var server = await NewServerAsync();
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");
        var compared = typeof(ColumnListTests).Assembly.GetTypes()
            .SelectMany(t => t.GetMethods())
            .Where(m => m.GetCustomAttribute<FactAttribute>() is { Skip: null })
            .SelectMany(m => m.GetCustomAttributes<ValuesOfAttribute>())
            .SelectMany(v => v.Names);

        Assert.Equal(
            (await server.RowsAsync(Shown)).Order(StringComparer.Ordinal),
            compared.Distinct().Order(StringComparer.Ordinal));
    }
}
