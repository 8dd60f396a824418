-- Snapshots and backups on the only member; restoring and going on alone, as far
-- as they are refused.  What they do is in the cluster tests.
SELECT pgraft_snapshot() = pgraft_get_applied_index() AS covers_what_is_applied;
SELECT pgraft_snapshot() = snapshot_index AS is_the_snapshot FROM pgraft.log_stats;

SELECT current_setting('data_directory') || '/one.backup' AS path,
	current_setting('data_directory') || '/two.backup' AS second,
	current_setting('data_directory') || '/pgraft/three.backup' AS inside \gset
SELECT pgraft_backup(:'path') = pgraft_get_applied_index() AS has_what_is_applied;
SELECT b.cluster_id, b.node_id, b.version, b.log_index = pgraft_get_applied_index() AS index,
	b.term <= pgraft_get_term() AS term, b.revision = e.revision AS revision,
	b.state_hash = e.state_hash AS hash, b.size_bytes = (pg_stat_file(:'path')).size AS size,
	b.taken_at BETWEEN now() - interval '1 minute' AND clock_timestamp() AS now
FROM pgraft_backup_info(:'path') b, pgraft.endpoint_status e;

-- Where there is something, where nothing may be, where nobody may write.
SELECT test.outcome(format('SELECT pgraft_backup(%L)', :'path')) AS existing,
	test.outcome(format('SELECT pgraft_backup(%L)', :'inside')) AS inside,
	test.outcome(format('SELECT pgraft_backup(%L)', current_setting('data_directory'))) AS directory,
	test.outcome(format('SELECT pgraft_backup(%L)', '/' || repeat('x', 5000))) AS long;
SELECT pgraft_backup('');
SELECT pgraft_backup('relative');
SELECT pgraft_backup('/tmp/');
SELECT pgraft_backup('/no/such/directory/file');
SELECT pgraft_backup('/pgraft.backup');

SELECT pgraft_backup_info('/no/such/file');
SELECT pgraft_backup_info('/dev/null');
SELECT pgraft_backup_info('/dev/zero');
SELECT pgraft_backup_info('/tmp');
SELECT pgraft_backup_info('/etc/passwd');

SELECT test.outcome(format('SELECT pgraft_restore(%L)', :'path')) AS has_a_cluster;
SELECT pgraft_recover_cluster('');
SELECT pgraft_recover_cluster('pgraft_cluster');
SELECT pgraft_recover_cluster('pgraft-cluster');

-- An administrator with PostgreSQL's leave.
CREATE ROLE test_keeper IN ROLE pgraft_admin, pg_write_server_files;
SET ROLE test_keeper;
SELECT pgraft_backup(:'second') > 0 AS written;
SELECT pgraft_backup_info(:'second');
RESET ROLE;
GRANT pg_read_server_files TO test_keeper;
SET ROLE test_keeper;
SELECT cluster_id FROM pgraft_backup_info(:'second');
RESET ROLE;
DROP ROLE test_keeper;
