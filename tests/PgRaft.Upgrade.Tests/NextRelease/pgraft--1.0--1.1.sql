\echo Use "ALTER EXTENSION pgraft UPDATE TO '1.1'" to load this file. \quit

-- What an update may do: a new function, a column more at the end of a view, another comment. What
-- users call and refer to stays.

CREATE FUNCTION pgraft_get_leader_address() RETURNS text
	AS $$ SELECT address || ':' || port FROM @extschema@.pgraft_get_nodes() WHERE is_leader $$
	LANGUAGE sql VOLATILE STRICT;
COMMENT ON FUNCTION pgraft_get_leader_address() IS
	'where peers reach the leader; null when none is known';
REVOKE ALL ON FUNCTION pgraft_get_leader_address() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pgraft_get_leader_address() TO pgraft_monitor;

CREATE OR REPLACE VIEW pgraft.log_stats AS
	SELECT *, last_index - commit_index AS uncommitted FROM @extschema@.pgraft_log_get_stats();

COMMENT ON FUNCTION pgraft_kv_exists(text) IS 'whether a key exists, as of now; linearizable';
