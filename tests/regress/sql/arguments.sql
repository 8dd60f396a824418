-- Null and wrong arguments, as far as they need no cluster.  A call that would
-- change something refuses a null; one that reads answers null.
SELECT pgraft_kv_put(NULL, 'value');
SELECT pgraft_kv_put('key', NULL);
SELECT pgraft_kv_put('key', 'value', NULL);
SELECT pgraft_kv_delete(NULL);
SELECT pgraft_kv_cas(NULL, 0, 'value');
SELECT pgraft_kv_cas('key', NULL, 'value');
SELECT pgraft_kv_cas('key', 0, NULL);
SELECT pgraft_add_node(NULL, '127.0.0.1', 7002);
SELECT pgraft_add_node(2, NULL, 7002);
SELECT pgraft_add_node(2, '127.0.0.1', NULL);
SELECT pgraft_remove_node(NULL);
SELECT pgraft_update_node(NULL, '127.0.0.1', 7002);
SELECT pgraft_update_node(1, NULL, 7002);
SELECT pgraft_update_node(1, '127.0.0.1', NULL);
SELECT pgraft_replicate_entry(NULL);
SELECT pgraft_log_append(NULL, 'data');
SELECT pgraft_log_append(1, NULL);
SELECT pgraft_set_debug(NULL);
SELECT pgraft_backup(NULL);
SELECT pgraft_restore(NULL);
SELECT pgraft_recover_cluster(NULL);
SELECT pgraft_backup_info(NULL) IS NULL AS backup_info;
SELECT test.outcome('SELECT pgraft_kv_put(NULL, NULL)') AS put, test.outcome('SELECT pgraft_set_debug(NULL)') AS debug,
	test.outcome('SELECT pgraft_add_node(NULL, NULL, NULL)') AS add, test.outcome('SELECT pgraft_log_append(NULL, NULL)') AS append;

SELECT pgraft_kv_get(NULL) IS NULL AS get, pgraft_kv_get('key', NULL) IS NULL AS get_consistency,
	pgraft_kv_exists(NULL) IS NULL AS exists, pgraft_log_get_entry(NULL) IS NULL AS entry,
	pgraft_log_commit(NULL) IS NULL AS commit, pgraft_log_apply(NULL) IS NULL AS apply;
SELECT count(*) AS keys FROM pgraft_kv_list_keys(NULL);

SELECT pgraft_kv_get('key', 'eventual');
SELECT test.outcome($$SELECT pgraft_kv_get('key', 'LOCAL')$$) AS sqlstate;

SET pgraft.request_timeout = 99;
SET pgraft.request_timeout = '11min';
SET pgraft.request_timeout = 2000;
SHOW pgraft.request_timeout;
RESET pgraft.request_timeout;
SET pgraft.no_such_setting = 1;
