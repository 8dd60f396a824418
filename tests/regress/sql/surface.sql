-- The whole surface: functions, views, settings, and that all are described.
SELECT p.oid::regprocedure AS function, pg_get_function_result(p.oid) AS result,
	p.proisstrict AS strict, p.provolatile AS volatile, p.proparallel AS parallel
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.deptype = 'e'
	JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE e.extname = 'pgraft'
ORDER BY p.proname, p.pronargs;

SELECT table_name, string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) AS columns
FROM information_schema.columns WHERE table_schema = 'pgraft' GROUP BY table_name ORDER BY table_name;

SELECT pg_describe_object(classid, objid, 0) AS without_comment
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.deptype = 'e'
WHERE e.extname = 'pgraft' AND obj_description(d.objid, d.classid::regclass::text) IS NULL;

SELECT name, boot_val, unit, min_val, max_val, context, vartype
FROM pg_settings WHERE name LIKE 'pgraft.%' ORDER BY name;

SELECT name FROM pg_settings WHERE name LIKE 'pgraft.%' AND short_desc = '';

-- The library and the installed extension are of one version.
SELECT pgraft_get_version() = extversion AS same_version FROM pg_extension WHERE extname = 'pgraft';

SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname LIKE 'pgraft%' ORDER BY rolname;
SELECT pg_has_role('pgraft_admin', 'pgraft_monitor', 'USAGE') AS admin_is_monitor,
	pg_has_role('pgraft_monitor', 'pgraft_admin', 'MEMBER') AS monitor_is_admin;
