-- The replicated log.
SELECT pgraft_get_term() AS term \gset
SELECT pgraft_replicate_entry('opaque');
SELECT pgraft_log_append(:term, 'fenced') AS index \gset
SELECT :index > 0 AS appended;

SELECT pgraft_log_commit(:index), pgraft_log_apply(:index);
SELECT pgraft_get_applied_index() >= :index AS applied;
SELECT pgraft_log_sync_with_leader();

SELECT (e->>'index')::bigint = :index AS index, (e->>'term')::bigint = :term AS term, e->>'type' AS type,
	e->>'data' AS data
FROM (SELECT pgraft_log_get_entry(:index)::jsonb AS e) AS entry;
SELECT pgraft_kv_put('logged', 'value');
SELECT e->>'type' AS type, e->>'key' AS key, e->>'value' AS value
FROM (SELECT pgraft_log_get_entry(last_index)::jsonb AS e FROM pgraft_log_get_stats()) AS entry;

-- A term is a fencing token: any but the current one is refused.
SELECT test.outcome('SELECT pgraft_log_append(0, $q$no term$q$)') AS zero,
	test.outcome(format('SELECT pgraft_log_append(%s, $q$other$q$)', :term + 1)) AS other_term;
SELECT pgraft_get_term() = :term AS term_stays;

SELECT test.outcome('SELECT pgraft_log_get_entry(0)') AS zero,
	test.outcome('SELECT pgraft_log_get_entry(-1)') AS negative,
	test.outcome('SELECT pgraft_log_get_entry(1000000000)') AS beyond;

-- Waiting for what does not come ends at the timeout.
SET pgraft.request_timeout = 200;
SELECT test.outcome('SELECT pgraft_log_commit(1000000000)') AS commit_beyond,
	test.outcome('SELECT pgraft_log_apply(1000000000)') AS apply_beyond;
RESET pgraft.request_timeout;
SELECT test.outcome('SELECT pgraft_log_commit(-1)') AS commit_negative;

SELECT last_index >= commit_index AND commit_index >= last_applied AS ordered,
	first_index >= 1 AND snapshot_index < first_index AS extent, log_size = last_index - first_index + 1 AS size,
	snapshot_term >= 0 AS snapshot_term, disk_bytes > 0 AS on_disk, last_applied >= :index AS applied
FROM pgraft_log_get_stats();
SELECT count(*) FROM pgraft.log_stats;
SELECT test.outcome($$SELECT pgraft_replicate_entry(repeat('x', 17 * 1024 * 1024))$$) AS too_large;
