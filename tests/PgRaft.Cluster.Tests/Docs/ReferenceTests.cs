// The reference pages against the running thing: docs/settings.md and pg_settings, docs/sql.md and
// the catalog. Neither may have anything that the other has not.

using PgRaft.Cluster.Tests.Harness;

namespace PgRaft.Cluster.Tests.Docs;

public sealed class ReferenceTests : ServerTest
{
    private const string SettingRows = """
        SELECT name,
            CASE WHEN boot_val = '' THEN 'empty'
                 ELSE concat_ws(' ', '`' || boot_val || '`', unit) END,
            CASE vartype WHEN 'integer' THEN min_val || '–' || max_val
                 WHEN 'bool' THEN 'on, off' ELSE '*' END,
            CASE context WHEN 'postmaster' THEN 'restart' WHEN 'sighup' THEN 'reload'
                 WHEN 'user' THEN 'session' ELSE context END
        FROM pg_settings WHERE name LIKE 'pgraft.%'
        """;

    // Arguments as one would call with them; columns where the function returns rows of them.
    private const string FunctionRows = """
        SELECT format('%s(%s)', p.oid::regproc,
                CASE WHEN 'o' = ANY (p.proargmodes) THEN
                    coalesce((SELECT string_agg(a.name || ' ' || format_type(a.type, NULL), ', '
                            ORDER BY a.place)
                        FROM unnest(p.proargnames, p.proallargtypes, p.proargmodes)
                            WITH ORDINALITY a(name, type, mode, place) WHERE a.mode = 'i'), '')
                ELSE regexp_replace(
                    pg_get_function_arguments(p.oid), '::[a-z]+', '', 'g') END),
            coalesce((SELECT string_agg(a.name || ' ' || format_type(a.type, NULL), ', '
                        ORDER BY a.place)
                FROM unnest(p.proargnames, p.proallargtypes, p.proargmodes)
                    WITH ORDINALITY a(name, type, mode, place) WHERE a.mode IN ('o', 't')),
                pg_get_function_result(p.oid)),
            CASE WHEN has_function_privilege('public', p.oid, 'EXECUTE') THEN 'everybody'
                 WHEN has_function_privilege('pgraft_monitor', p.oid, 'EXECUTE') THEN 'monitor'
                 WHEN has_function_privilege('pgraft_admin', p.oid, 'EXECUTE') THEN 'admin' END
        FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.deptype = 'e'
            JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
        WHERE e.extname = 'pgraft'
        """;

    private const string ViewRows = """
        SELECT 'pgraft.' || c.relname,
            (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, NULL), ', '
                ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0),
            CASE WHEN has_table_privilege('pgraft_monitor', c.oid, 'SELECT') THEN 'monitor' END
        FROM pg_class c WHERE c.relkind = 'v' AND c.relnamespace = 'pgraft'::regnamespace
        """;

    [Fact]
    public async Task The_reference_pages_are_what_the_server_has()
    {
        var server = await NewServerAsync();
        await server.StartAsync();
        await server.ExecuteAsync("CREATE EXTENSION pgraft");

        Same(await server.RowsAsync(SettingRows), Settings());
        Same(await server.RowsAsync(FunctionRows), Functions());
        Same(await server.RowsAsync(ViewRows), Views());
    }

    // Of a text setting the page says in words what is allowed.
    private static IEnumerable<string> Settings()
    {
        return new DocPage("docs/settings.md").Rows("pgraft.").Select(cells => string.Join(
            '|',
            Code(cells[0]),
            cells[1],
            cells[2].Contains('–', StringComparison.Ordinal) || cells[2] == "on, off"
                ? cells[2]
                : "*",
            cells[3]));
    }

    private static IEnumerable<string> Functions()
    {
        return new DocPage("docs/sql.md").Rows("pgraft")
            .Where(cells => cells[0].Contains('(', StringComparison.Ordinal))
            .Select(cells => $"{Code(cells[0])}|{Code(cells[1])}|{cells[2]}");
    }

    private static IEnumerable<string> Views()
    {
        return new DocPage("docs/sql.md").Rows("pgraft.")
            .Where(cells => !cells[0].Contains('(', StringComparison.Ordinal))
            .Select(cells => $"{Code(cells[0])}|{Code(cells[1])}|{cells[2]}");
    }

    private static string Code(string cell)
    {
        return cell.Trim('`');
    }

    private static void Same(IEnumerable<string> wanted, IEnumerable<string> documented)
    {
        Assert.Equal(
            wanted.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }
}
