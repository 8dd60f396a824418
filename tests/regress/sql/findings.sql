-- Findings on the settings of a leader of one node, and its health.
SELECT name, severity, finding, advice FROM pgraft.settings_check WHERE finding IS NOT NULL
ORDER BY name;

-- Each setting is there, with the value that SHOW gives.
SELECT count(*) AS missing FROM pg_settings s
WHERE name LIKE 'pgraft.%' AND NOT EXISTS (
	SELECT FROM pgraft.settings_check c
	WHERE c.name = s.name AND c.value = current_setting(s.name));
SELECT name, value ~ '^[0-9.]+ ms$' AS measured FROM pgraft.settings_check
WHERE name = 'sync of data_dir';
SELECT name, value = pgraft_get_version() AS version FROM pgraft.settings_check
WHERE name IN ('versions', 'extension') ORDER BY name;
SELECT name, value FROM pgraft.settings_check WHERE name IN ('members', 'data version')
ORDER BY name;

SELECT healthy, is_leader, leader_id, term = pgraft_get_term() AS term, quorum, live_members,
	members, worker, role, lag, may_act FROM pgraft.health;
SELECT h->'healthy' AS healthy, h->'is_leader' AS is_leader, h->'leader_id' AS leader_id,
	(h->>'term')::bigint = pgraft_get_term() AS term, h->'quorum' AS quorum,
	h->'live_members' AS live_members, h->'worker' AS worker, h->'lag' AS lag,
	h->'may_act' AS may_act
FROM pgraft_health_check() AS h;
SELECT node_id, address, port = current_setting('pgraft.port')::int AS port, is_alive,
	last_contact_ms, round_trip_us, version = pgraft_get_version() AS version, protocol,
	data_version, last_error
FROM pgraft.endpoint_health;
