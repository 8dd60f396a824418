-- The extension, and what the other tests use.
CREATE EXTENSION pgraft;
SET client_min_messages = warning;

CREATE SCHEMA test;

-- What a statement ends with: ok, or the SQLSTATE.  A message that does not
-- begin as all of ours do is shown.
CREATE FUNCTION test.outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
	IF SQLERRM LIKE 'pgraft: %' THEN
		RETURN SQLSTATE;
	END IF;
	RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- Waits until a condition holds, at most ten seconds.
CREATE FUNCTION test.poll(condition text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	deadline timestamptz := clock_timestamp() + '10s';
	holds boolean;
BEGIN
	LOOP
		EXECUTE 'SELECT ' || condition INTO holds;
		IF holds OR clock_timestamp() > deadline THEN
			RETURN holds;
		END IF;
		PERFORM pg_sleep(0.01);
	END LOOP;
END
$$;

SELECT test.poll($$pgraft_get_worker_state() = 'WAITING'$$) AS waiting;
