-- Who may call what.
CREATE ROLE test_nobody;
CREATE ROLE test_monitor IN ROLE pgraft_monitor;
CREATE ROLE test_admin IN ROLE pgraft_admin;

SELECT p.proname AS function,
	has_function_privilege('test_nobody', p.oid, 'EXECUTE') AS nobody,
	has_function_privilege('test_monitor', p.oid, 'EXECUTE') AS monitor,
	has_function_privilege('test_admin', p.oid, 'EXECUTE') AS admin
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.deptype = 'e'
	JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE e.extname = 'pgraft'
ORDER BY p.proname;

SELECT c.relname AS view,
	has_table_privilege('test_nobody', c.oid, 'SELECT') AS nobody,
	has_table_privilege('test_monitor', c.oid, 'SELECT') AS monitor,
	has_table_privilege('test_admin', c.oid, 'SELECT') AS admin
FROM pg_class c WHERE c.relnamespace = 'pgraft'::regnamespace ORDER BY c.relname;

SET ROLE test_nobody;
SELECT pgraft_is_leader(), pgraft_get_leader();
SELECT pgraft_get_term();
SELECT pgraft_kv_get('key');
SELECT pgraft_kv_put('key', 'value');
SELECT pgraft_init();
SELECT * FROM pgraft.nodes;
SELECT pgraft_health_check();
SELECT count(*) FROM pgraft.settings_check;
RESET ROLE;

SET ROLE test_monitor;
SELECT pgraft_get_worker_state();
SELECT count(*) FROM pgraft.endpoint_status;
SELECT count(*) > 25 AS settings FROM pgraft.settings_check;
SELECT worker FROM pgraft.health;
SELECT pgraft_health_check()->>'worker' AS worker;
SELECT count(*) FROM pgraft.endpoint_health;
SELECT pgraft_kv_put('key', 'value');
SELECT pgraft_add_node(2, '127.0.0.1', 7002);
SELECT pgraft_transfer_leadership();
SELECT pgraft_update_node(1, '127.0.0.1', 7002);
SELECT pgraft_log_get_entry(1);
SELECT pgraft_backup('/tmp/file');
RESET ROLE;

-- Files of the server also need PostgreSQL's own roles.
SET ROLE test_admin;
SELECT pgraft_backup('/tmp/file');
SELECT pgraft_backup_info('/tmp/file');
SELECT pgraft_restore('/tmp/file');
RESET ROLE;

-- Only superusers may set what belongs to the server.
SET ROLE test_admin;
SET pgraft.request_timeout = '3s';
SHOW pgraft.request_timeout;
RESET pgraft.request_timeout;
ALTER SYSTEM SET pgraft.batch_size = 50;
RESET ROLE;
SET pgraft.node_id = 7;
SET pgraft.batch_size = 50;

DROP ROLE test_nobody, test_monitor, test_admin;
