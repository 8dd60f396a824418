-- The key-value store.
SELECT pgraft_kv_put('a', '1');
SELECT pgraft_kv_get('a'), pgraft_kv_get('a', 'local'), pgraft_kv_get('a', 'linearizable');
SELECT pgraft_kv_put('a', '2');
SELECT pgraft_kv_get('a');
SELECT pgraft_kv_exists('a'), pgraft_kv_exists('b');
SELECT pgraft_kv_get('b') IS NULL AS absent;

-- An empty value is a value.
SELECT pgraft_kv_put('empty', '');
SELECT pgraft_kv_get('empty') = '' AS empty, pgraft_kv_exists('empty');

SELECT pgraft_kv_delete('empty'), pgraft_kv_delete('empty');
SELECT pgraft_kv_get('empty') IS NULL AS deleted;

-- Compare and set: by modification revision, 0 for a key that must not exist.
SELECT revision AS before FROM pgraft.kv \gset
SELECT pgraft_kv_cas('cas', 1, 'x') IS NULL AS absent;
SELECT pgraft_kv_cas('cas', 0, '1') - :before AS created, pgraft_kv_cas('cas', 0, '2') IS NULL AS exists;
SELECT pgraft_kv_cas('cas', :before + 1, '2') - :before AS changed, pgraft_kv_cas('cas', :before + 1, '3') IS NULL AS stale;
SELECT pgraft_kv_get('cas'), pgraft_kv_delete('cas');
SELECT pgraft_kv_cas('cas', :before + 2, 'x') IS NULL AS deleted, pgraft_kv_cas('cas', 0, 'again') - :before AS again;
SELECT test.outcome($$SELECT pgraft_kv_cas('cas', -1, 'x')$$) AS negative, test.outcome($$SELECT pgraft_kv_cas('', 0, 'x')$$) AS empty_key,
	test.outcome($$SELECT pgraft_kv_cas('cas', 0, repeat('v', 1536 * 1024 + 1))$$) AS large_value;
SELECT pgraft_kv_get('cas'), pgraft_kv_delete('cas');

-- Keys are listed in byte order, whatever the collation.
SELECT pgraft_kv_put(k, k) FROM unnest(ARRAY['dir/b', 'dir/a', 'dir/B', 'dir/ä', 'dir', 'dis']) AS k;
SELECT * FROM pgraft_kv_list_keys('dir/');
SELECT * FROM pgraft_kv_list_keys('dir');
SELECT count(*) FROM pgraft_kv_list_keys('nothing');
SELECT * FROM pgraft_kv_list_keys();
SELECT pgraft_kv_list_keys('dis');

-- Text of all kinds comes back as it was.
SELECT pgraft_kv_put(E'Schl\u00fcssel \U0001F511', E'line\nnext\ttab "quote" \\ \U0001F600');
SELECT pgraft_kv_get(E'Schl\u00fcssel \U0001F511') = E'line\nnext\ttab "quote" \\ \U0001F600' AS same;
SELECT pgraft_kv_put('big', repeat('0123456789', 100000));
SELECT length(pgraft_kv_get('big')), md5(pgraft_kv_get('big')) = md5(repeat('0123456789', 100000)) AS same;

-- What is refused leaves no trace.
SELECT test.outcome($$SELECT pgraft_kv_put('', 'value')$$) AS empty_key;
SELECT test.outcome($$SELECT pgraft_kv_put(repeat('k', 5000), 'value')$$) AS long_key;
SELECT test.outcome($$SELECT pgraft_kv_put('huge', repeat('v', 1536 * 1024 + 1))$$) AS large_value;
SELECT test.outcome($$SELECT pgraft_kv_put('huge', repeat('v', 70 * 1024 * 1024))$$) AS frame;
SELECT test.outcome($$SELECT pgraft_kv_put('leased', 'value', 12345)$$) AS no_such_lease;
SELECT test.outcome($$SELECT pgraft_kv_get('')$$) AS get_empty_key;
SELECT test.outcome($$SELECT pgraft_kv_delete('')$$) AS delete_empty_key;
SELECT pgraft_kv_exists('huge'), pgraft_kv_exists('leased');

-- Counters and sizes follow.
CREATE TEMP TABLE before AS TABLE pgraft.kv;
SELECT pgraft_kv_put('counted', '12345'), pgraft_kv_delete('counted'), pgraft_kv_delete('counted');
SELECT a.total_keys - b.total_keys AS keys, a.total_size - b.total_size AS size,
	a.revision - b.revision AS revisions, a.puts - b.puts AS puts, a.deletes - b.deletes AS deletes,
	a.leases, a.watchers
FROM pgraft.kv a, before b;
SELECT pgraft_kv_put('counted', '12345');
SELECT a.total_keys - b.total_keys AS keys, a.total_size - b.total_size AS size FROM pgraft.kv a, before b;
SELECT pgraft_kv_delete('counted');

-- The cluster is not part of a transaction.
BEGIN;
SELECT pgraft_kv_put('outside', 'kept');
ROLLBACK;
SELECT pgraft_kv_get('outside');
BEGIN READ ONLY;
SELECT pgraft_kv_put('read only', 'works, as on a standby');
COMMIT;
