-- What a leader of one node shows of itself.
SELECT node_id, current_term >= 1 AS has_term, leader_id, state, num_nodes,
	messages_processed >= 0 AS messages, heartbeats_sent >= 0 AS heartbeats,
	elections_triggered >= 0 AS elections
FROM pgraft_get_cluster_status();
SELECT pgraft_get_term() = current_term AS same_term FROM pgraft_get_cluster_status();
SELECT node_id, address, port = current_setting('pgraft.port')::int AS own_port, is_leader
FROM pgraft_get_nodes();
TABLE pgraft.member_list EXCEPT TABLE pgraft.nodes;
SELECT n->>'id' AS id, n->>'address' AS address, n->'port' = to_jsonb(current_setting('pgraft.port')::int) AS own_port,
	n->>'leader' AS leader, n->>'active' AS active
FROM jsonb_array_elements(pgraft_get_nodes_from_raft()::jsonb) AS n;
SELECT pgraft_test();
SELECT count(*) FROM pgraft.replication;
SELECT node_id, version = pgraft_get_version() AS version, term = pgraft_get_term() AS term,
	applied_index > 0 AS applied, length(state_hash) > 0 AS hash
FROM pgraft.endpoint_status;

-- Requests are counted.
SELECT processed_msgs AS before FROM pgraft_get_queue_status() \gset
SELECT pgraft_kv_get('none') IS NULL AS absent;
SELECT test.poll(format('(SELECT processed_msgs >= %s FROM pgraft_get_queue_status())', :before + 1))
	AS counted;

-- Debugging can be turned on and off.
SELECT pgraft_set_debug(true);
SELECT pgraft_set_debug(false);
