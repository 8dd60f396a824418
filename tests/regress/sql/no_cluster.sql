-- A node without a configuration waits, and says so.
SELECT pgraft_get_worker_state(), pgraft_is_leader(), pgraft_get_leader(), pgraft_get_term(),
	pgraft_get_applied_index();
SELECT node_id, current_term, leader_id, state, num_nodes, heartbeats_sent, elections_triggered
FROM pgraft_get_cluster_status();
SELECT pending_msgs, queue_full FROM pgraft_get_queue_status();
SELECT * FROM pgraft_get_nodes();
SELECT pgraft_get_nodes_from_raft();
SELECT * FROM pgraft.replication;
SELECT healthy, is_leader, leader_id, term, quorum, live_members, members, worker, role, lag, may_act,
	quorum_since <= may_act_since AND live_members_since = quorum_since
		AND may_act_since < clock_timestamp() AS since FROM pgraft.health;
SELECT regexp_replace(pgraft_health_check()::text, '"20[-0-9]*T[.:0-9]*[+]00:00"', '(time)', 'g') AS health;
SELECT * FROM pgraft.endpoint_health;
SELECT name, value, severity, finding FROM pgraft.settings_check
WHERE name NOT LIKE 'pgraft.%' ORDER BY name;

SELECT statement, test.outcome('SELECT ' || statement) AS outcome
FROM unnest(ARRAY[
	$$pgraft_kv_put('key', 'value')$$,
	$$pgraft_kv_get('key')$$,
	$$pgraft_kv_delete('key')$$,
	$$pgraft_kv_exists('key')$$,
	$$pgraft_kv_list_keys()$$,
	$$pgraft_add_node(2, '127.0.0.1', 7002)$$,
	$$pgraft_remove_node(1)$$,
	$$pgraft_transfer_leadership()$$,
	$$pgraft_transfer_leadership(1)$$,
	$$pgraft_update_node(1, '127.0.0.1', 7002)$$,
	$$pgraft_replicate_entry('data')$$,
	$$pgraft_log_append(1, 'data')$$,
	$$pgraft_log_sync_with_leader()$$,
	$$pgraft_test()$$,
	$$pgraft_snapshot()$$,
	$$pgraft_backup('/tmp/no-cluster.backup')$$,
	$$pgraft_recover_cluster('pgraft-cluster')$$,
	$$pgraft_restore('/no/such/file')$$]) AS statement;
