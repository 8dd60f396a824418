-- A founding member whose two peers do not exist: no leader, no majority, for ever.
-- Nothing may be promised, and each error says what is the matter.
SET pgraft.request_timeout = 200;
SELECT test.poll($$pgraft_get_worker_state() = 'RUNNING'$$) AS running;
SELECT pgraft_is_leader(), pgraft_get_leader(), pgraft_get_applied_index();
SELECT node_id, leader_id, state <> 'leader' AS not_leader, num_nodes FROM pgraft_get_cluster_status();
SELECT node_id, is_leader FROM pgraft_get_nodes();
SELECT test.poll($$(SELECT quorum IS FALSE FROM pgraft.health)$$) AS lost;
SELECT healthy, is_leader, leader_id, quorum, live_members, members, worker, lag, may_act,
	quorum_since = may_act_since AND quorum_since = live_members_since AS since FROM pgraft.health;
SELECT node_id, is_alive, last_error IS NOT NULL AS why FROM pgraft.endpoint_health ORDER BY node_id;

-- What a call ends with, and all that its error says, but for times.
CREATE FUNCTION test.report(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN regexp_replace(concat_ws(E'\n', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''), nullif(hint, '')),
		'[0-9]+\.[0-9] s', 'N s');
END
$$;

CREATE TABLE test.calls (place serial, call text);
INSERT INTO test.calls (call) VALUES
	('pgraft_get_version()'), ('pgraft_is_leader()'), ('pgraft_get_leader()'), ('pgraft_get_term()'),
	('pgraft_get_worker_state()'), ('pgraft_get_applied_index()'), ('pgraft_get_cluster_status()'),
	('pgraft_get_queue_status()'), ('pgraft_get_nodes()'), ('pgraft_get_nodes_from_raft()'),
	('pgraft.get_endpoint_status()'), ('pgraft_log_get_stats()'),
	('pgraft_log_get_replication_status()'), ('pgraft_kv_get_stats()'), ('pgraft_set_debug(false)'),
	('pgraft_init()'), ('pgraft_add_node(4, ''127.0.0.1'', 7004)'), ('pgraft_remove_node(2)'),
	('pgraft_update_node(2, ''127.0.0.1'', 7004)'), ('pgraft_transfer_leadership(2)'),
	('pgraft_test()'),
	('pgraft_replicate_entry(''data'')'), ('pgraft_log_append(1, ''data'')'),
	('pgraft_log_commit(1)'), ('pgraft_log_apply(1)'), ('pgraft_log_get_entry(1)'),
	('pgraft_log_sync_with_leader()'),
	('pgraft_kv_put(''key'', ''value'')'), ('pgraft_kv_get(''key'')'),
	('pgraft_kv_get(''key'', ''local'')'), ('pgraft_kv_delete(''key'')'),
	('pgraft_kv_cas(''key'', 0, ''value'')'), ('pgraft_kv_exists(''key'')'),
	('pgraft_kv_list_keys()'), ('pgraft_transfer_leadership()'),
	('pgraft_snapshot()'), ('pgraft_backup(''/tmp/no-quorum.backup'')'),
	('pgraft_backup_info(''/no/such/file'')'), ('pgraft_restore(''/no/such/file'')'),
	('pgraft_recover_cluster(''other-cluster'')'),
	('pgraft_health_check()'), ('pgraft.get_health()'), ('pgraft.get_endpoint_health()'),
	('pgraft.get_findings()'), ('pgraft.get_leadership_changes()');
\pset format unaligned
SELECT call, test.report('SELECT ' || call) AS outcome FROM test.calls ORDER BY place;
\pset format aligned

-- All functions are among them.
SELECT p.proname AS missing
FROM pg_depend d JOIN pg_extension e ON d.refobjid = e.oid AND d.deptype = 'e'
	JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid
WHERE e.extname = 'pgraft'
	AND NOT EXISTS (SELECT FROM test.calls WHERE position(p.proname || '(' IN call) > 0)
ORDER BY 1;

-- Where the majority is gone for ever there is one way on.
RESET pgraft.request_timeout;
SELECT pgraft_recover_cluster('pgraft-cluster');
SELECT pgraft_is_leader(), pgraft_kv_put('key', 'value'), pgraft_kv_get('key');
SELECT node_id, is_leader FROM pgraft_get_nodes();
