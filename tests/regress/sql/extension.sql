-- The extension comes and goes; the cluster and the roles stay.
SELECT pgraft_kv_put('kept', 'yes');
DROP EXTENSION pgraft;
SELECT count(*) FROM pg_namespace WHERE nspname = 'pgraft';
SELECT count(*) FROM pg_roles WHERE rolname IN ('pgraft_monitor', 'pgraft_admin');
CREATE EXTENSION pgraft;
SELECT pgraft_kv_get('kept');
SELECT has_function_privilege('pgraft_admin', 'pgraft_kv_put(text, text, bigint)', 'EXECUTE') AS admin,
	has_function_privilege('public', 'pgraft_kv_put(text, text, bigint)', 'EXECUTE') AS everybody;

-- In another database, and in a schema of its own.
\c latin1
CREATE SCHEMA raft;
CREATE EXTENSION pgraft SCHEMA raft;
SELECT raft.pgraft_kv_get('kept');
SELECT count(*) FROM pgraft.nodes;
DROP EXTENSION pgraft;
CREATE SCHEMA pgraft;
CREATE EXTENSION pgraft SCHEMA pgraft;
SELECT pgraft.pgraft_kv_get('kept');
SELECT count(*) FROM pgraft.nodes;
DROP EXTENSION pgraft;
\c regression
ALTER EXTENSION pgraft SET SCHEMA test;
