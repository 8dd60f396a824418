\echo Use "CREATE EXTENSION pgraft" to load this file. \quit

-- Roles belong to the whole server: another database may have them already, and
-- they stay behind after DROP EXTENSION.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgraft_monitor') THEN
		CREATE ROLE pgraft_monitor NOLOGIN;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgraft_admin') THEN
		CREATE ROLE pgraft_admin NOLOGIN;
	END IF;
	IF NOT pg_catalog.pg_has_role('pgraft_admin', 'pgraft_monitor', 'MEMBER') THEN
		GRANT pgraft_monitor TO pgraft_admin;
	END IF;
END
$$;

-- The views live in schema pgraft, which may also be the functions' own.
DO $$
BEGIN
	IF '@extschema@' <> 'pgraft' THEN
		CREATE SCHEMA pgraft;
		COMMENT ON SCHEMA pgraft IS 'views on the pgraft cluster, for members of pgraft_monitor';
	END IF;
END
$$;
GRANT USAGE ON SCHEMA pgraft TO pgraft_monitor;

-- Open to everybody: what a connection pooler or an application must know to
-- find the leader, and nothing more.

CREATE FUNCTION pgraft_is_leader() RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_is_leader() IS
	'true only while this node holds the leader lease; reads shared memory; open to everybody, for poolers';

CREATE FUNCTION pgraft_get_leader() RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_get_leader() IS
	'node id of the leader, 0 when none is known or contact is lost; reads shared memory; open to everybody, for poolers';

CREATE FUNCTION pgraft_get_version() RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_get_version() IS
	'version of the loaded library; open to everybody';

-- Status, for pgraft_monitor.

CREATE FUNCTION pgraft_get_term() RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_get_term() IS
	'current term; reads shared memory';

CREATE FUNCTION pgraft_get_worker_state() RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_get_worker_state() IS
	'RUNNING, STARTING, WAITING (no configuration yet), REMOVED (not a member any more), STOPPED or ERROR; of the live worker';

CREATE FUNCTION pgraft_get_applied_index() RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_get_applied_index() IS
	'index of the last log entry applied on this node; reads shared memory';

CREATE FUNCTION pgraft_get_cluster_status(
	OUT node_id integer, OUT current_term bigint, OUT leader_id bigint, OUT state text,
	OUT num_nodes integer, OUT messages_processed bigint, OUT heartbeats_sent bigint,
	OUT elections_triggered bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_get_cluster_status() IS
	'this node''s view of the cluster; state is leader, follower, candidate, passive or waiting; reads shared memory';

CREATE FUNCTION pgraft_get_queue_status(
	OUT pending_msgs integer, OUT processed_msgs bigint, OUT queue_full boolean)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_get_queue_status() IS
	'requests of this server that the cluster worker has under way and has answered; reads shared memory';

CREATE FUNCTION pgraft_get_nodes() RETURNS TABLE (
	node_id integer, address text, port integer, is_leader boolean)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT ROWS 5;
COMMENT ON FUNCTION pgraft_get_nodes() IS
	'members of the committed configuration';

CREATE FUNCTION pgraft_get_nodes_from_raft() RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_get_nodes_from_raft() IS
	'members as a JSON array of id, address, port, leader, active (null when not known)';

CREATE FUNCTION pgraft.get_leadership_changes() RETURNS TABLE (
	changed_at_ms bigint, role text, term bigint, leader_id integer, cause text)
	AS 'MODULE_PATHNAME', 'pgraft_get_leadership_changes' LANGUAGE C VOLATILE STRICT ROWS 20;
COMMENT ON FUNCTION pgraft.get_leadership_changes() IS
	'last changes of role, term and leader on this node since its worker started, oldest first, at most 100';

CREATE FUNCTION pgraft_log_get_stats() RETURNS TABLE (
	log_size bigint, last_index bigint, commit_index bigint, last_applied bigint,
	first_index bigint, snapshot_index bigint, snapshot_term bigint, disk_bytes bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT ROWS 1;
COMMENT ON FUNCTION pgraft_log_get_stats() IS
	'extent of this node''s log: entries held, indexes, last snapshot, bytes on disk';

CREATE FUNCTION pgraft_log_get_replication_status() RETURNS TABLE (
	node_id integer, match_index bigint, next_index bigint, is_active boolean, lag bigint,
	last_contact_ms bigint, state text)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT ROWS 5;
COMMENT ON FUNCTION pgraft_log_get_replication_status() IS
	'progress of each follower, on the leader; no rows elsewhere';

CREATE FUNCTION pgraft_kv_get_stats() RETURNS TABLE (
	total_keys bigint, total_size bigint, revision bigint, compacted_revision bigint,
	puts bigint, deletes bigint, gets bigint, leases bigint, watchers bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT ROWS 1;
COMMENT ON FUNCTION pgraft_kv_get_stats() IS
	'size and counters of the key-value store as applied on this node';

CREATE FUNCTION pgraft.get_endpoint_status() RETURNS TABLE (
	node_id integer, version text, term bigint, applied_index bigint, revision bigint,
	state_hash text)
	AS 'MODULE_PATHNAME', 'pgraft_get_endpoint_status' LANGUAGE C VOLATILE STRICT ROWS 1;
COMMENT ON FUNCTION pgraft.get_endpoint_status() IS
	'this node''s applied state with its hash, which is equal on all members at the same applied index; reads the whole state';

CREATE FUNCTION pgraft_health_check() RETURNS json
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft_health_check() IS
	'whether this member and its cluster are well; is there a quorum, who is alive, may this member act, each since when; never waits, never fails for a worker that is down; reads shared memory';

CREATE FUNCTION pgraft.get_health(
	OUT healthy boolean, OUT is_leader boolean, OUT leader_id bigint, OUT term bigint,
	OUT quorum boolean, OUT live_members integer, OUT members integer, OUT worker text,
	OUT role text, OUT lag bigint, OUT quorum_since timestamptz, OUT may_act boolean,
	OUT may_act_since timestamptz, OUT live_members_since timestamptz)
	AS 'MODULE_PATHNAME', 'pgraft_get_health' LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION pgraft.get_health() IS
	'pgraft_health_check() as columns; null where the answer is not known; reads shared memory';

CREATE FUNCTION pgraft.get_endpoint_health() RETURNS TABLE (
	node_id integer, address text, port integer, is_alive boolean, last_contact_ms bigint,
	round_trip_us bigint, version text, protocol integer, data_version integer, last_error text,
	alive_since timestamptz)
	AS 'MODULE_PATHNAME', 'pgraft_get_endpoint_health' LANGUAGE C VOLATILE STRICT ROWS 5;
COMMENT ON FUNCTION pgraft.get_endpoint_health() IS
	'each member as this one has heard it, and since when it is alive or not; null where it has not asked';

CREATE FUNCTION pgraft.get_findings() RETURNS TABLE (
	subject text, value text, severity text, finding text, advice text)
	AS 'MODULE_PATHNAME', 'pgraft_get_findings' LANGUAGE C VOLATILE STRICT ROWS 10;
COMMENT ON FUNCTION pgraft.get_findings() IS
	'what is to be said of the settings and of what was measured, for pgraft.settings_check';

-- What changes state, reveals data or costs a round trip to a quorum, for
-- pgraft_admin.

CREATE FUNCTION pgraft_init() RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_init() IS
	'founds a cluster of this node alone on an empty pgraft.data_dir; true once this node leads';

CREATE FUNCTION pgraft_add_node(node_id integer, address text, port integer) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_add_node(integer, text, integer) IS
	'on the leader: catches the node up, then makes it a voter; true once the new configuration is committed; pgraft.request_timeout bounds how long it may stand still';

CREATE FUNCTION pgraft_remove_node(node_id integer) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_remove_node(integer) IS
	'on the leader: removes a member; true once the new configuration is committed';

CREATE FUNCTION pgraft_update_node(node_id integer, address text, port integer) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_update_node(integer, text, integer) IS
	'on the leader: changes where peers reach a member; true once the new configuration is committed';

CREATE FUNCTION pgraft_transfer_leadership(target integer DEFAULT NULL) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_transfer_leadership(integer) IS
	'on the leader: hands leadership to a member, by default to the most up-to-date one; true once that one leads; writes wait meanwhile';

CREATE FUNCTION pgraft_test() RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_test() IS
	'self-test: log write and sync, loopback to the core, round trip to a quorum';

CREATE FUNCTION pgraft_set_debug(enabled boolean) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_set_debug(boolean) IS
	'whether the cluster worker writes debug messages to the server log, until the server stops';

CREATE FUNCTION pgraft_replicate_entry(data text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_replicate_entry(text) IS
	'appends an opaque entry to the replicated log; true once it is committed';

CREATE FUNCTION pgraft_log_append(term bigint, data text) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_log_append(bigint, text) IS
	'appends an opaque entry if term is the current term (a fencing token); its log index once it is committed';

CREATE FUNCTION pgraft_log_commit(index bigint) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_log_commit(bigint) IS
	'waits until the log is committed up to the index, at most pgraft.request_timeout';

CREATE FUNCTION pgraft_log_apply(index bigint) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_log_apply(bigint) IS
	'waits until the log is applied on this node up to the index, at most pgraft.request_timeout';

CREATE FUNCTION pgraft_log_get_entry(index bigint) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_log_get_entry(bigint) IS
	'a log entry as JSON; an error if it is compacted or beyond the end';

CREATE FUNCTION pgraft_log_sync_with_leader() RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_log_sync_with_leader() IS
	'read barrier: true once this node has applied all that was committed when called';

CREATE FUNCTION pgraft_kv_put(key text, value text, lease_id bigint DEFAULT 0) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_kv_put(text, text, bigint) IS
	'sets a key, on any node; true once committed and applied; not undone by ROLLBACK';

CREATE FUNCTION pgraft_kv_get(key text, consistency text DEFAULT 'linearizable') RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_kv_get(text, text) IS
	'value of a key or NULL; linearizable, or local for this node''s applied state';

CREATE FUNCTION pgraft_kv_delete(key text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_kv_delete(text) IS
	'deletes a key, on any node; whether it existed; not undone by ROLLBACK';

CREATE FUNCTION pgraft_kv_cas(key text, expected_mod_revision bigint, value text) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_kv_cas(text, bigint, text) IS
	'sets a key if its modification revision is the expected one (0: if it does not exist), on any node; the new revision, or NULL if it is not; not undone by ROLLBACK';

CREATE FUNCTION pgraft_kv_exists(key text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_kv_exists(text) IS
	'whether a key exists; linearizable';

CREATE FUNCTION pgraft_kv_list_keys(prefix text DEFAULT '') RETURNS SETOF text
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_kv_list_keys(text) IS
	'keys that begin with the prefix, in byte order; linearizable';

-- Snapshots, backups and recovery.  The ones that name a file also ask for
-- PostgreSQL's own pg_read_server_files or pg_write_server_files.

CREATE FUNCTION pgraft_snapshot() RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_snapshot() IS
	'log index of a durable snapshot of all that is applied on this node, taken now unless there is one';

CREATE FUNCTION pgraft_backup(path text) RETURNS bigint
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_backup(text) IS
	'writes the replicated state, with all that was acknowledged before the call, to a new file of the server; its log index; needs pg_write_server_files too';

CREATE FUNCTION pgraft_backup_info(path text,
	OUT cluster_id text, OUT log_index bigint, OUT term bigint, OUT revision bigint,
	OUT state_hash text, OUT taken_at timestamptz, OUT node_id integer, OUT version text,
	OUT size_bytes bigint)
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_backup_info(text) IS
	'reads a whole backup file and verifies its checksum; what it says of itself; needs pg_read_server_files too';

CREATE FUNCTION pgraft_restore(path text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_restore(text) IS
	'founds a new cluster of this node alone, on an empty pgraft.data_dir, with the state of a backup; true once this node leads; needs pg_read_server_files too';

CREATE FUNCTION pgraft_recover_cluster(confirm text) RETURNS boolean
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE;
COMMENT ON FUNCTION pgraft_recover_cluster(text) IS
	'after a majority is lost for ever: makes this node the only member; confirm must equal pgraft.cluster_id; true once this node leads';

-- Views

CREATE VIEW pgraft.nodes AS SELECT * FROM @extschema@.pgraft_get_nodes();
COMMENT ON VIEW pgraft.nodes IS 'members of the committed configuration';

CREATE VIEW pgraft.member_list AS
	SELECT node_id, address, port, is_leader FROM @extschema@.pgraft_get_nodes();
COMMENT ON VIEW pgraft.member_list IS 'members of the committed configuration, by etcd''s name';

CREATE VIEW pgraft.endpoint_status AS SELECT * FROM pgraft.get_endpoint_status();
COMMENT ON VIEW pgraft.endpoint_status IS
	'this node''s applied state and its hash, to compare members with one another';

CREATE VIEW pgraft.replication AS SELECT * FROM @extschema@.pgraft_log_get_replication_status();
COMMENT ON VIEW pgraft.replication IS 'progress of each follower, on the leader';

CREATE VIEW pgraft.history AS
	SELECT pg_catalog.to_timestamp(changed_at_ms / 1000.0) AS changed_at, role, term, leader_id, cause
	FROM pgraft.get_leadership_changes();
COMMENT ON VIEW pgraft.history IS
	'last changes of role, term and leader on this node since its worker started, with their cause';

CREATE VIEW pgraft.log_stats AS SELECT * FROM @extschema@.pgraft_log_get_stats();
COMMENT ON VIEW pgraft.log_stats IS 'extent of this node''s log';

CREATE VIEW pgraft.kv AS SELECT * FROM @extschema@.pgraft_kv_get_stats();
COMMENT ON VIEW pgraft.kv IS 'size and counters of the key-value store on this node';

CREATE VIEW pgraft.health AS SELECT * FROM pgraft.get_health();
COMMENT ON VIEW pgraft.health IS
	'whether this member and its cluster are well: is there a quorum, who is alive, may this member act; true, false, or null where it cannot tell, each since when';

CREATE VIEW pgraft.endpoint_health AS SELECT * FROM pgraft.get_endpoint_health();
COMMENT ON VIEW pgraft.endpoint_health IS
	'each member as this one has heard it: alive, since when, heard when last, round trip, versions';

CREATE VIEW pgraft.settings_check AS
	WITH findings AS MATERIALIZED (SELECT * FROM pgraft.get_findings())
	SELECT s.name, pg_catalog.current_setting(s.name) AS value, f.severity, f.finding, f.advice
	FROM pg_catalog.pg_settings s LEFT JOIN findings f ON f.subject = s.name
	WHERE s.name LIKE 'pgraft.%'
	UNION ALL
	SELECT subject, value, severity, finding, advice FROM findings
	WHERE subject NOT LIKE 'pgraft.%'
	UNION ALL
	SELECT 'extension', e.extversion,
		CASE WHEN e.extversion <> l.version THEN 'warning' END,
		CASE WHEN e.extversion <> l.version THEN 'the library has version ' || l.version END,
		CASE WHEN e.extversion <> l.version THEN 'Run ALTER EXTENSION pgraft UPDATE in this database.' END
	FROM pg_catalog.pg_extension e, @extschema@.pgraft_get_version() AS l(version)
	WHERE e.extname = 'pgraft';
COMMENT ON VIEW pgraft.settings_check IS
	'each setting and what was measured, with findings and advice; a row more for each further finding';

-- Privileges

REVOKE ALL ON FUNCTION
	pgraft_get_term(), pgraft_get_worker_state(), pgraft_get_applied_index(),
	pgraft_get_cluster_status(), pgraft_get_queue_status(), pgraft_get_nodes(),
	pgraft_get_nodes_from_raft(), pgraft_log_get_stats(),
	pgraft_log_get_replication_status(), pgraft_kv_get_stats(),
	pgraft.get_endpoint_status(), pgraft.get_leadership_changes(),
	pgraft_health_check(), pgraft.get_health(),
	pgraft.get_endpoint_health(), pgraft.get_findings(),
	pgraft_init(), pgraft_add_node(integer, text, integer), pgraft_remove_node(integer),
	pgraft_update_node(integer, text, integer),
	pgraft_transfer_leadership(integer),
	pgraft_test(), pgraft_set_debug(boolean), pgraft_replicate_entry(text),
	pgraft_log_append(bigint, text), pgraft_log_commit(bigint), pgraft_log_apply(bigint),
	pgraft_log_get_entry(bigint), pgraft_log_sync_with_leader(),
	pgraft_kv_put(text, text, bigint), pgraft_kv_get(text, text), pgraft_kv_delete(text),
	pgraft_kv_cas(text, bigint, text), pgraft_kv_exists(text), pgraft_kv_list_keys(text),
	pgraft_snapshot(), pgraft_backup(text), pgraft_backup_info(text), pgraft_restore(text),
	pgraft_recover_cluster(text)
	FROM PUBLIC;

GRANT EXECUTE ON FUNCTION
	pgraft_get_term(), pgraft_get_worker_state(), pgraft_get_applied_index(),
	pgraft_get_cluster_status(), pgraft_get_queue_status(), pgraft_get_nodes(),
	pgraft_get_nodes_from_raft(), pgraft_log_get_stats(),
	pgraft_log_get_replication_status(), pgraft_kv_get_stats(),
	pgraft.get_endpoint_status(), pgraft.get_leadership_changes(),
	pgraft_health_check(), pgraft.get_health(),
	pgraft.get_endpoint_health(), pgraft.get_findings()
	TO pgraft_monitor;

GRANT EXECUTE ON FUNCTION
	pgraft_init(), pgraft_add_node(integer, text, integer), pgraft_remove_node(integer),
	pgraft_update_node(integer, text, integer),
	pgraft_transfer_leadership(integer),
	pgraft_test(), pgraft_set_debug(boolean), pgraft_replicate_entry(text),
	pgraft_log_append(bigint, text), pgraft_log_commit(bigint), pgraft_log_apply(bigint),
	pgraft_log_get_entry(bigint), pgraft_log_sync_with_leader(),
	pgraft_kv_put(text, text, bigint), pgraft_kv_get(text, text), pgraft_kv_delete(text),
	pgraft_kv_cas(text, bigint, text), pgraft_kv_exists(text), pgraft_kv_list_keys(text),
	pgraft_snapshot(), pgraft_backup(text), pgraft_backup_info(text), pgraft_restore(text),
	pgraft_recover_cluster(text)
	TO pgraft_admin;

GRANT SELECT ON
	pgraft.nodes, pgraft.member_list, pgraft.endpoint_status, pgraft.replication,
	pgraft.log_stats, pgraft.kv, pgraft.health, pgraft.endpoint_health, pgraft.settings_check,
	pgraft.history
	TO pgraft_monitor;
