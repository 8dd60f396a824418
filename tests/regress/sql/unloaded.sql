-- The library is not in shared_preload_libraries: there is no worker and no
-- shared memory, and every function says what to do instead of crashing.
CREATE EXTENSION pgraft;

SELECT pgraft_get_version();
SELECT pgraft_is_leader();
SELECT pgraft_get_leader();
SELECT pgraft_get_term();
SELECT pgraft_get_worker_state();
SELECT pgraft_get_applied_index();
SELECT * FROM pgraft_get_cluster_status();
SELECT * FROM pgraft_get_queue_status();
SELECT * FROM pgraft_get_nodes();
SELECT pgraft_init();
SELECT pgraft_kv_put('key', 'value');
SELECT pgraft_kv_get('key');
SELECT * FROM pgraft_kv_list_keys();
SELECT pgraft_set_debug(true);
SELECT * FROM pgraft.endpoint_status;
SELECT pgraft_health_check();
SELECT * FROM pgraft.health;
SELECT * FROM pgraft.endpoint_health;
SELECT count(*) FROM pgraft.settings_check;

\set VERBOSITY verbose
\set SHOW_CONTEXT never
SELECT :'SQLSTATE' AS sqlstate;
\set VERBOSITY default

LOAD 'pgraft';
SHOW pgraft.node_id;

DROP EXTENSION pgraft;
