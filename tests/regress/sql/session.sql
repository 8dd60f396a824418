-- One connection to the core serves a session through errors and rollbacks.
SELECT pgraft_kv_put('session', '1');
SELECT test.outcome($$SELECT pgraft_kv_put('', 'value')$$) AS refused;
SELECT pgraft_kv_get('session');
BEGIN;
SAVEPOINT s;
SELECT test.outcome($$SELECT pgraft_kv_get('key', 'no')$$) AS refused;
ROLLBACK TO s;
SELECT pgraft_kv_get('session');
COMMIT;

-- A wait can be cancelled, and the answer that comes late is not taken for the
-- next one's.
SET statement_timeout = 200;
SELECT pgraft_log_commit(1000000000);
RESET statement_timeout;
SELECT pgraft_kv_get('session');

-- In functions, cursors, joins and limits.
DO $$
BEGIN
	FOR i IN 1..100 LOOP
		PERFORM pgraft_kv_put('loop/' || i, i::text);
	END LOOP;
END
$$;
SELECT count(*), min(pgraft_kv_get(k)::int), max(pgraft_kv_get(k)::int) FROM pgraft_kv_list_keys('loop/') AS k;
SELECT * FROM pgraft_kv_list_keys('loop/') LIMIT 2;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT * FROM pgraft_kv_list_keys('loop/1');
FETCH 2 FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;
SELECT count(*) FROM (SELECT pgraft_kv_delete(k) FROM pgraft_kv_list_keys('loop/') AS k) AS deleted;

-- The status is as the worker's, not as the transaction's snapshot.
SELECT count(DISTINCT pgraft_is_leader()) FROM generate_series(1, 1000);
